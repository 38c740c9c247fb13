"""What the tally adds up stands in its indices, so that pages read no rows of it."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("web", "0018_glimpses_of_a_camera")]

    operations: ClassVar = [
        migrations.RemoveIndex(model_name="daytally", name="day_tally"),
        migrations.RemoveIndex(model_name="hourtally", name="hour_tally"),
        migrations.AddIndex(
            model_name="daytally",
            index=models.Index(
                fields=["day", "label", "camera", "source", "owner", "verdict", "count"],
                name="day_tally",
            ),
        ),
        migrations.AddIndex(
            model_name="hourtally",
            index=models.Index(
                fields=["label", "hour", "camera", "source", "owner", "verdict", "day", "count"],
                name="hour_tally",
            ),
        ),
    ]

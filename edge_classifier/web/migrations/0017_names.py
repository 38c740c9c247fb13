"""What two tables are called in the administration."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("web", "0016_lists")]
    operations = [
        migrations.AlterModelOptions(
            name="eventpicture",
            options={
                "verbose_name": "snapshot that waits for its event",
                "verbose_name_plural": "snapshots that wait for their events",
            },
        ),
        migrations.AlterModelOptions(
            name="preference",
            options={
                "verbose_name": "choice on the page",
                "verbose_name_plural": "choices on the page",
            },
        ),
    ]

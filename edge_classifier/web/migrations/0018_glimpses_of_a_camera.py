"""How many glimpses a camera had, or uploads somebody made, is read from the index alone."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """As ``Record.Meta`` has it."""

    dependencies: ClassVar = [("web", "0017_names")]

    operations: ClassVar = [
        migrations.RemoveIndex("record", "record_upload"),
        migrations.AddIndex(
            "record",
            models.Index(
                fields=["source", "-at", "-id", "camera", "verdict", "owner"],
                condition=~Q(source="event"),
                name="record_upload",
            ),
        ),
    ]

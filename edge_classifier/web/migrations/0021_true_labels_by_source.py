"""Records of a true label are found by source and camera without reading the others."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("web", "0020_sums_without_cameras")]

    operations: ClassVar = [
        migrations.RemoveIndex(model_name="record", name="record_truth"),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["truth", "-at", "-id", "verdict", "score", "source", "camera"],
                condition=Q(truth__isnull=False),
                name="record_truth",
            ),
        ),
    ]

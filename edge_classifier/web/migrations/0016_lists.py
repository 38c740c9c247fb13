"""Lists of a camera, of a verdict or of high scores read no row that does not fit.

And an event that nobody has sent or reviewed is in no index of those who did.
"""

from typing import Any, ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


def drop_index_of_owner(apps: Any, editor: Any) -> None:
    """The one that Django gives a foreign key, which had a row for each record of a camera."""
    record = apps.get_model("web", "Record")
    for name in editor._constraint_names(record, ["owner_id"], index=True):
        editor.execute(editor._delete_index_sql(record, name))


def indexed(index: models.Index) -> list[Any]:
    """In the place of the one that there is of this name."""
    return [
        migrations.RemoveIndex(model_name="record", name=index.name),
        migrations.AddIndex(model_name="record", index=index),
    ]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("web", "0015_rollout_camera")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            # SQLite would write the whole table anew.
            state_operations=[
                migrations.AlterField(
                    model_name="record",
                    name="owner",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="uploaded by",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunPython(drop_index_of_owner, migrations.RunPython.noop)
            ],
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["owner"], condition=Q(owner__isnull=False), name="record_owner"
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["camera", "margin"],
                condition=Q(verdict=""),
                name="record_camera_uncertain",
            ),
        ),
        *indexed(
            models.Index(
                fields=["reviewer", "reviewed_at"],
                condition=Q(reviewer__isnull=False),
                name="record_reviewed",
            )
        ),
        *indexed(models.Index(fields=["-score", "-id", "camera", "label"], name="record_score")),
        *indexed(
            models.Index(
                fields=["verdict", "-at", "-id", "camera", "source", "score"],
                condition=~Q(verdict=""),
                name="record_verdict",
            )
        ),
        *indexed(
            models.Index(
                fields=["truth", "-at", "-id", "verdict", "score"],
                condition=Q(truth__isnull=False),
                name="record_truth",
            )
        ),
    ]

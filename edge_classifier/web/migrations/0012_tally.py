"""Records are counted when they are written; and what a reviewer has corrected is found at once.

The sums of records that are there already are made after the migration, a day at a time
(``tally.upkeep``). The table of records is not written anew.
"""

from collections.abc import Sequence
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_NO_KEY: dict[str, Any] = {
    "on_delete": django.db.models.deletion.DO_NOTHING,
    "db_constraint": False,
    "db_index": False,
    "related_name": "+",
}


def tally(name: str, indexes: list[Any], hour: Sequence[Any] = ()) -> migrations.CreateModel:
    """A table of sums, of days or of hours."""
    return migrations.CreateModel(
        name=name,
        fields=[
            (
                "id",
                models.BigAutoField(
                    auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                ),
            ),
            ("day", models.DateField()),
            ("source", models.CharField(max_length=8)),
            ("verdict", models.CharField(blank=True, max_length=10)),
            ("count", models.BigIntegerField()),
            *hour,
            ("camera", models.ForeignKey(null=True, to="web.camera", **_NO_KEY)),
            ("label", models.ForeignKey(to="web.label", **_NO_KEY)),
            ("owner", models.ForeignKey(null=True, to=settings.AUTH_USER_MODEL, **_NO_KEY)),
        ],
        options={"indexes": indexes},
    )


def drop_index_of_truth(apps: Any, editor: Any) -> None:
    """The one that Django gives a foreign key, which had a row for each record without a truth."""
    record = apps.get_model("web", "Record")
    for name in editor._constraint_names(record, ["truth_id"], index=True):
        editor.execute(editor._delete_index_sql(record, name))


class Migration(migrations.Migration):
    dependencies = [("web", "0011_ingress")]

    operations = [
        tally(
            "DayTally",
            indexes=[
                models.Index(
                    fields=["day", "label", "camera", "source", "owner", "verdict"],
                    name="day_tally",
                ),
                models.Index(fields=["label", "camera", "day"], name="day_tally_label"),
            ],
        ),
        tally(
            "HourTally",
            hour=[("hour", models.IntegerField())],
            indexes=[
                models.Index(
                    fields=["label", "hour", "camera", "source", "owner", "verdict", "day"],
                    name="hour_tally",
                ),
                models.Index(fields=["day", "hour"], name="hour_tally_day"),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            # SQLite would write the whole table anew.
            state_operations=[
                migrations.AlterField(
                    model_name="record",
                    name="truth",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="web.label",
                        verbose_name="true label",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunPython(drop_index_of_truth, migrations.RunPython.noop)
            ],
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=Q(truth__isnull=False),
                fields=["truth", "-at", "-id"],
                name="record_truth",
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=Q(truth__isnull=False, picture__isnull=False),
                fields=["truth", "picture"],
                name="record_dataset",
            ),
        ),
        # Choices are no matter of the database.
        migrations.AlterField(
            model_name="record",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "not reviewed"),
                    ("confirmed", "confirmed"),
                    ("corrected", "corrected"),
                    ("nothing", "nothing there"),
                    ("rejected", "rejected"),
                ],
                default="",
                max_length=10,
                verbose_name="review",
            ),
        ),
    ]

"""The tally has sums of all cameras together: of days also, of hours only.

Its triggers are made anew, and every day is counted, when the page starts (``tally.upkeep``). And
records of some scores are counted without reading them; uploads that wait for a verdict are found.
"""

from typing import Any, ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


def drop_triggers(_apps: Any, editor: Any) -> None:
    """They write to a table that goes, and nothing may be written to a table with such ones."""
    of_table = " ON web_record" if editor.connection.vendor == "postgresql" else ""
    for name in ("insert", "delete", "update", "change"):
        editor.execute(f"DROP TRIGGER IF EXISTS web_tally_{name}{of_table}")


def reference(to: str, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=to,
        **options,
    )


def columns() -> list[tuple[str, models.Field]]:
    return [
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
        ("label", reference("web.label")),
        ("owner", reference(settings.AUTH_USER_MODEL, null=True)),
    ]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("web", "0019_sums_in_indexes")]

    operations: ClassVar = [
        migrations.RunPython(drop_triggers, migrations.RunPython.noop),
        migrations.DeleteModel(name="HourTally"),
        migrations.CreateModel(
            name="HourTally",
            fields=[*columns(), ("hour", models.IntegerField())],
            options={
                "indexes": [
                    models.Index(
                        fields=["label", "hour", "source", "owner", "verdict", "day", "count"],
                        name="hour_tally",
                    ),
                    models.Index(fields=["day", "hour"], name="hour_tally_day"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LabelDayTally",
            fields=columns(),
            options={
                "indexes": [
                    models.Index(
                        fields=["day", "label", "source", "owner", "verdict", "count"],
                        name="label_day_tally",
                    ),
                    models.Index(
                        fields=["label", "day", "source", "owner", "verdict", "count"],
                        name="label_day_tally_label",
                    ),
                ],
            },
        ),
        migrations.RemoveIndex(model_name="record", name="record_score"),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["-score", "-id", "camera", "label", "truth", "source", "verdict", "owner"],
                name="record_score",
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["source", "margin"],
                condition=Q(verdict="") & ~Q(source="event"),
                name="record_upload_uncertain",
            ),
        ),
    ]

"""Tables of the tally: sums of records that no page has to count itself.

The database's own triggers write them (``triggers``), in the transaction that writes the records.
On PostgreSQL several rows may have the same key until ``upkeep.fold``: whoever reads them adds up.
"""

from typing import ClassVar

from django.db import models


class Tally(models.Model):
    """How many records agree in all that a page may ask for."""

    # Of the record, as it was in the server's time zone when it was recorded.
    day = models.DateField()
    # What it counts as: the true label where a reviewer has told it, else the predicted one.
    label = models.ForeignKey(
        "web.Label", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    source = models.CharField(max_length=8)
    # Null where the record has none.
    owner = models.ForeignKey(
        "web.User",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # Rejected ones are here, too, for whoever asks for them.
    verdict = models.CharField(max_length=10, blank=True)
    count = models.BigIntegerField()

    class Meta:
        abstract = True


class DayTally(Tally):
    """Of one day at one camera."""

    # Null, too, where the record has none.
    camera = models.ForeignKey(
        "web.Camera",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(
                # With what is added up, so that no row is read.
                fields=["day", "label", "camera", "source", "owner", "verdict", "count"],
                name="day_tally",
            ),
            models.Index(fields=["label", "camera", "day"], name="day_tally_label"),
        ]


class LabelDayTally(Tally):
    """Of one day, wherever it was: what is asked for without a camera has far fewer sums here."""

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["day", "label", "source", "owner", "verdict", "count"],
                name="label_day_tally",
            ),
            models.Index(
                fields=["label", "day", "source", "owner", "verdict", "count"],
                name="label_day_tally_label",
            ),
        ]


class HourTally(Tally):
    """Of one hour of a day, wherever it was."""

    # Hours since 1970 that had begun at ``at``; in a time zone that is half an hour off, those
    # that begin with its own (``triggers.shift_s``).
    hour = models.IntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["label", "hour", "source", "owner", "verdict", "day", "count"],
                name="hour_tally",
            ),
            models.Index(fields=["day", "hour"], name="hour_tally_day"),
        ]

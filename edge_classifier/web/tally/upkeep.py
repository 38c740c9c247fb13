"""The tally is made, compared with the records, and made anew; a day at a time."""

# ruff: noqa: S608 (all names in these statements are ours)

import logging
from collections.abc import Collection
from datetime import date

from django.conf import settings
from django.db import connection, transaction

from edge_classifier.web.models import Preference
from edge_classifier.web.tally import triggers

_log = logging.getLogger(__name__)
# In the table of what was chosen: that all days have been counted.
_COMPLETE = "tally"
# Any number that is the same for all of us. Whoever removes rows has it; triggers only add some.
_LOCK = 0x74616C79
# Rows of a day in which adding up saves nothing.
_FEW = 100


def install(*, anew: bool = False) -> int:
    """Let the triggers be there, and every day be counted; how many days were counted now.

    They are missing before the first time, and after a migration that has made the table of
    records anew. Killed in between, it begins again at the next start. ``anew``: in any case.
    """
    if not set(triggers.TABLES) <= set(connection.introspection.table_names()):
        return 0  # The tables are those of an earlier release.
    expected = triggers.triggers(triggers.shift_s(settings.TIME_ZONE), connection.vendor)
    are_there = installed() == expected
    if are_there and not anew and Preference.objects.filter(name=_COMPLETE).exists():
        return 0
    with transaction.atomic():
        Preference.objects.filter(name=_COMPLETE).delete()
        if not are_there:
            _create(expected)
    days = _days()
    if len(days) > 1:
        _log.info("records are counted: %d days", len(days))
    for day in days:
        count_day(day)
    Preference.objects.get_or_create(name=_COMPLETE)
    return len(days)


def installed() -> dict[str, str]:
    """What is there, as ``triggers.triggers`` has it."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname, obj_description(oid, 'pg_trigger') FROM pg_trigger"
                " WHERE tgrelid = 'web_record'::regclass AND NOT tgisinternal"
                " UNION ALL SELECT proname, obj_description(oid, 'pg_proc') FROM pg_proc"
                " WHERE proname = 'web_tally' AND pg_function_is_visible(oid)"
            )
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {name: sql for name, sql in cursor.fetchall() if name.startswith("web_tally")}


def _create(expected: dict[str, str]) -> None:
    is_postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for name in installed():
            if name in expected and name != "web_tally":
                cursor.execute(f"DROP TRIGGER {name}{' ON web_record' if is_postgres else ''}")
        for name, sql in expected.items():
            cursor.execute(sql)
            if is_postgres:
                # Kept as it was written, to be compared.
                of = (
                    "FUNCTION web_tally()"
                    if name == "web_tally"
                    else f"TRIGGER {name} ON web_record"
                )
                cursor.execute(f"COMMENT ON {of} IS %s", [sql])


def _days() -> list[date]:
    """Of records, and of sums that may have none any more."""
    names = ("web_record", *triggers.TABLES)
    sql = " UNION ".join(f"SELECT DISTINCT day FROM {name}" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY day")
        days = [day for (day,) in cursor.fetchall()]
    # SQLite keeps a day as text.
    return [date.fromisoformat(day) if isinstance(day, str) else day for day in days]


def count_day(day: date) -> None:
    """Count the records of one day anew, whatever its sums were."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table, key in triggers.TABLES.items():
            columns, groups = ", ".join(key), ", ".join(str(n + 1) for n in range(len(key)))
            gone = f"DELETE FROM {table} WHERE day = %(day)s"
            made = (
                f"INSERT INTO {table} ({columns}, count) SELECT {_counted(key)}, COUNT(*)"
                f" FROM web_record r WHERE r.day = %(day)s GROUP BY {groups}"
            )
            if connection.vendor == "postgresql":
                # One statement sees records and sums as of one moment.
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                cursor.execute(f"WITH gone AS ({gone}) {made}", {"day": day})
            else:
                cursor.execute(gone, {"day": day})
                cursor.execute(made, {"day": day})


def _counted(key: Collection[str]) -> str:
    found = triggers.values("r", triggers.shift_s(settings.TIME_ZONE), connection.vendor)
    # A column by its number is not grouped by what stands in its place.
    return ", ".join(f"{found[column]} AS {column}".replace("%s", "%%s") for column in key)


def wrong_days() -> list[date]:
    """Days whose sums are not those of their records."""
    found = set()
    with connection.cursor() as cursor:
        for day in _days():
            for table, key in triggers.TABLES.items():
                columns = ", ".join(key)
                cursor.execute(
                    f"SELECT 1 FROM (SELECT {_counted(key)}, 1 AS n FROM web_record r"
                    f" WHERE r.day = %(day)s UNION ALL SELECT {columns}, -count FROM {table}"
                    f" WHERE day = %(day)s) AS difference GROUP BY {columns}"
                    " HAVING SUM(n) <> 0 LIMIT 1",
                    {"day": day},
                )
                if cursor.fetchone():
                    found.add(day)
    return sorted(found)


def fold(days: Collection[date] | None = None) -> int:
    """Add up rows of the same key, of which PostgreSQL has many; of how many days.

    Without ``days`` of those that have very many. Nothing is done while somebody else does it.
    """
    if connection.vendor != "postgresql":
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        if days is None:
            # Those with at least half again as many rows as keys.
            cursor.execute(
                f"SELECT day FROM web_daytally GROUP BY day HAVING COUNT(*) > {_FEW} + 1.5 * "
                "COUNT(DISTINCT (label_id, camera_id, source, owner_id, verdict))"
            )
            chosen = [day for (day,) in cursor.fetchall()]
        else:
            chosen = sorted(days)
        for table, key in triggers.TABLES.items():
            columns = ", ".join(key)
            cursor.execute(
                f"WITH gone AS (DELETE FROM {table} WHERE day = ANY(%s) RETURNING {columns}, count)"
                f" INSERT INTO {table} ({columns}, count) SELECT {columns}, SUM(count) FROM gone"
                f" GROUP BY {columns} HAVING SUM(count) <> 0",
                [chosen],
            )
    return len(chosen)

"""The triggers that keep the tally, as SQL. Pure.

Each change of a record changes the sums in the same transaction, whoever makes it: a recorder, a
reviewer, retention, or somebody with a client of the database. So the sums are as true as the
records, whenever a process is killed.

On SQLite, which has one writer at a time, rows are added to. On PostgreSQL each change is a row of
its own: recorders that added to the same rows would wait for each other, and deadlock.
"""

# ruff: noqa: S608 (all names in these statements are ours)

from datetime import datetime
from zoneinfo import ZoneInfo

# What a row of each table is the sum of.
_KEY = ("day", "label_id", "source", "owner_id", "verdict")
TABLES = {
    "web_daytally": (*_KEY, "camera_id"),
    "web_labeldaytally": _KEY,
    "web_hourtally": (*_KEY, "hour"),
}
# Columns of a record whose change moves it from one sum to another.
_READ = (*_KEY, "camera_id", "truth_id", "at")
_FUNCTION = "web_tally"


def shift_s(zone: str) -> int:
    """Seconds by which this zone's hours begin before those of UTC: 1800 in India, else mostly 0.

    As they are now. A zone that has changed it since has some hours that are a part of it off.
    """
    offset = datetime.now(ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) % 3600 if offset else 0


def values(row: str, shift: int, vendor: str) -> dict[str, str]:
    """Expressions for the columns of a tally, of the record that is called ``row``."""
    seconds = f"CAST(strftime('%s', {row}.at) AS INTEGER)"
    if vendor == "postgresql":
        seconds = f"floor(extract(epoch FROM {row}.at))::bigint"
    return {
        **{column: f"{row}.{column}" for column in (*_KEY, "camera_id")},
        "label_id": f"COALESCE({row}.truth_id, {row}.label_id)",
        "hour": f"({seconds} + {shift}) / 3600",
    }


def triggers(shift: int, vendor: str) -> dict[str, str]:
    """The statements that make them, by name; ``shift`` as ``shift_s``."""
    return _postgres(shift) if vendor == "postgresql" else _sqlite(shift)


def _sqlite(shift: int) -> dict[str, str]:
    into, out = _add("NEW", 1, shift), _add("OLD", -1, shift)
    moved = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in _READ)
    events = {
        "web_tally_insert": ("INSERT", into),
        "web_tally_delete": ("DELETE", out),
        "web_tally_update": (f"UPDATE OF {', '.join(_READ)}", f"{out} {into}"),
    }
    when = {"web_tally_update": f" WHEN {moved}"}
    return {
        name: f"CREATE TRIGGER {name} AFTER {event} ON web_record FOR EACH ROW{when.get(name, '')}"
        f" BEGIN {body} END"
        for name, (event, body) in events.items()
    }


def _add(row: str, count: int, shift: int) -> str:
    """Add ``count`` to the sums of one record.

    No ON CONFLICT: the one of the statement that fires a trigger would be taken instead.
    """
    statements = []
    for table, key in TABLES.items():
        found = values(row, shift, "sqlite")
        same = " AND ".join(f"{column} IS {found[column]}" for column in key)
        columns, new = ", ".join(key), ", ".join(found[column] for column in key)
        statements += [
            f"UPDATE {table} SET count = count + {count} WHERE {same};",
            f"INSERT INTO {table} ({columns}, count) SELECT {new}, {count} WHERE changes() = 0;",
        ]
        if count < 0:
            statements.append(f"DELETE FROM {table} WHERE {same} AND count = 0;")
    return " ".join(statements)


def _postgres(shift: int) -> dict[str, str]:
    def insert(row: str, count: int) -> str:
        found = values(row, shift, "postgresql")
        return " ".join(
            f"INSERT INTO {table} ({', '.join(key)}, count)"
            f" VALUES ({', '.join(found[column] for column in key)}, {count});"
            for table, key in TABLES.items()
        )

    moved = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in _READ)
    call = f"FOR EACH ROW {{}} EXECUTE FUNCTION {_FUNCTION}()"
    return {
        _FUNCTION: f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF TG_OP <> 'INSERT' THEN {insert('OLD', -1)} END IF;"
        f" IF TG_OP <> 'DELETE' THEN {insert('NEW', 1)} END IF; RETURN NULL; END $$",
        "web_tally_change": "CREATE TRIGGER web_tally_change AFTER INSERT OR DELETE ON web_record "
        + call.format(""),
        "web_tally_update": f"CREATE TRIGGER web_tally_update AFTER UPDATE OF {', '.join(_READ)}"
        f" ON web_record {call.format(f'WHEN ({moved})')}",
    }

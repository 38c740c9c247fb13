"""JSON as it goes over MQTT: written compactly, read with suspicion. Pure.

Whoever may publish can send anything. Each reader here raises ValueError for what is missing or
makes no sense, but for those that say what they give instead.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

# Bytes of a payload that is read at all: ``info`` names a thousand labels and all settings.
MAX_JSON_BYTES = 1_000_000
_MAX_STAMP = 64
_YEARS = range(1970, 9999)


def encoded(payload: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for NaN and infinity, which JSON has not."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Half characters, which a file name may hold, are not UTF-8.
    return text.encode("utf-8", "replace")


def decoded(payload: bytes, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The JSON object in ``payload``."""
    if len(payload) > max_bytes:
        raise ValueError(f"is longer than {max_bytes} bytes")
    try:
        found = json.loads(payload, parse_constant=_refuse)
    except RecursionError as error:  # A thousand brackets are valid JSON.
        raise ValueError("is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"has {constant}")


def decoded_or_empty(text: str) -> dict[str, Any]:
    """What was remembered as JSON; empty if a failing card has made something else of it."""
    try:
        return decoded(text.encode("utf-8", "replace"))
    except ValueError:
        return {}


def inner(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object in ``fields``; empty if there is none."""
    found = fields.get(key)
    return found if isinstance(found, dict) else {}


def text(fields: Mapping[str, Any], key: str, longest: int, *, shortest: int = 0) -> str:
    """Text of ``shortest`` to ``longest`` characters that a database takes as it is."""
    found = fields.get(key)
    if not isinstance(found, str) or not shortest <= len(found) <= longest:
        raise ValueError(f"{key} is not a text of {shortest} to {longest} characters")
    if "\0" in found or any("\ud800" <= sign <= "\udfff" for sign in found):
        raise ValueError(f"{key} has what is not a character")  # PostgreSQL takes neither.
    return found


def line(value: object, longest: int) -> str:
    """One line of printable characters; empty if ``value`` is not a text.

    Half characters and reversed writing become blanks.
    """
    if not isinstance(value, str):
        return ""
    return "".join(sign if sign.isprintable() else " " for sign in value[:longest]).strip()


def number(fields: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """A number from ``low`` to ``high``."""
    found = number_or_none(fields, key, low, high)
    if found is None:
        raise ValueError(f"{key} is not a number from {low:g} to {high:g}")
    return found


def number_or_none(fields: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    """The same; None for anything else."""
    found = fields.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        return None
    return float(found)


def count_or_none(fields: Mapping[str, Any], key: str, most: int) -> int | None:
    """A whole number from 0 to ``most``; None for null."""
    found = fields.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= most:
        raise ValueError(f"{key} is not a count")
    return found


def utc_datetime(fields: Mapping[str, Any], key: str) -> datetime:
    """An ISO 8601 stamp with a time zone, in UTC."""
    found = fields.get(key)
    if not isinstance(found, str) or len(found) > _MAX_STAMP:
        raise ValueError(f"{key} is not a time")
    at = datetime.fromisoformat(found)
    if at.tzinfo is None or at.year not in _YEARS:
        raise ValueError(f"{key} has no time zone, or an impossible year")
    return at.astimezone(UTC)

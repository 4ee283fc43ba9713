"""Reading raw JSON strictly: what is missing, of the wrong type or not finite is a malformed reply, never a default."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from monitor.domain.account import FailureKind
from monitor.exchange.failures import ReadError

Row = Mapping[str, Any]

# A liquidation price further from the mark than this is a venue's way to say that there is none.
ABSURD_HIGH = 100.0
ABSURD_LOW = 0.001


def malformed(what: str) -> ReadError:
    return ReadError(FailureKind.MALFORMED, what)


def rows(reply: object, where: str) -> list[Row]:
    """`reply` as a list of objects."""
    if not isinstance(reply, list):
        raise malformed(f"{where}: expected a list, got {_kind(reply)}")
    for row in reply:
        if not isinstance(row, dict):
            raise malformed(f"{where}: expected a list of objects, found {_kind(row)} in it")
    return reply


def mapping(reply: object, where: str) -> Row:
    if not isinstance(reply, dict):
        raise malformed(f"{where}: expected an object, got {_kind(reply)}")
    return reply


def text(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise malformed(f"{key}: expected text, got {_kind(value)}")
    return value


def boolean(row: Row, key: str) -> bool:
    value = row.get(key)
    if not isinstance(value, bool):
        raise malformed(f"{key}: expected true or false, got {_kind(value)}")
    return value


def number(row: Row, key: str) -> float:
    """A finite number, sent as one or as text."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise malformed(f"{key}: expected a number, got {_kind(value)}")
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        raise malformed(f"{key}: {value!r:.40} is not a number") from None
    if not math.isfinite(parsed):
        raise malformed(f"{key}: {value!r:.40} is not a finite number")
    return parsed


def optional_number(row: Row, key: str) -> float | None:
    """None where the venue leaves it out (absent, null or empty text)."""
    return None if row.get(key) in (None, "") else number(row, key)


def positive(row: Row, key: str) -> float:
    parsed = number(row, key)
    if parsed <= 0:
        raise malformed(f"{key}: {parsed} is not above 0")
    return parsed


def optional_positive(row: Row, key: str) -> float | None:
    """None where absent or where the venue writes 0 for "none"."""
    parsed = optional_number(row, key)
    return parsed if parsed is not None and parsed > 0 else None


def time_of(milliseconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise malformed(f"{milliseconds} is not a time") from None


def is_absurd(price: float, mark_price: float) -> bool:
    return not mark_price * ABSURD_LOW <= price <= mark_price * ABSURD_HIGH


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)

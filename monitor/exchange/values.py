"""Reading raw JSON strictly: what is missing, of the wrong type or not finite is a malformed reply, never a default."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.domain.account import FailureKind
from monitor.exchange.failures import ReadError

Row = Mapping[str, Any]

# A liquidation price further from the mark than this is a venue's way to say that there is none.
ABSURD_HIGH = 100.0
ABSURD_LOW = 0.001
# Beyond these no figure but 0 of an account lies, and products of several such figures stay finite, and above 0.
LARGEST = 1e30
SMALLEST = 1e-30
MAX_INTERVAL_HOURS = 24 * 31
# No two parts can take the same digit: a text of a million would be tried in every division.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

# ccxt reckons in whole digits: it would write out every nought of these.
_ENDLESS = re.compile(r"[+-]?[\d.]+[eE][+-]?\d{4,}", re.ASCII)
# A reply holds none where its text holds neither this nor a character written as its number.
_MAYBE_ENDLESS = re.compile(r"[eE][+-]?\d{4}|\\u", re.ASCII)
MAX_DECIMALS = 100


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


def in_places(reply: object, names: Sequence[str], where: str) -> list[Row]:
    """A list of lists, all as long, as rows: with a name for what stands in each place; further places are left out."""
    if not isinstance(reply, list):
        raise malformed(f"{where}: expected a list, got {_kind(reply)}")
    for row in reply:
        if not isinstance(row, list):
            raise malformed(f"{where}: expected a list of lists, found {_kind(row)} in it")
    # With one thing too many in a row, all that follows would be taken for something else.
    if len({len(row) for row in reply}) > 1:
        raise malformed(f"{where}: rows of different lengths")
    return [dict(zip(names, row, strict=False)) for row in reply]


def in_columns(reply: Row, names: Sequence[str], where: str) -> list[Row]:
    """A list for each name as rows."""
    columns = [reply.get(name) for name in names]
    lists = [column for column in columns if isinstance(column, list)]
    if len(lists) < len(names) or len({len(column) for column in lists}) > 1:
        raise malformed(f"{where}: expected lists of one length")
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def mapping(reply: object, where: str) -> Row:
    if not isinstance(reply, dict):
        raise malformed(f"{where}: expected an object, got {_kind(reply)}")
    return reply


def scalars(reply: object) -> Iterator[object]:
    """Everything in a reply that holds nothing else, however deep."""
    waiting = [reply]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value


def refuse_endless_numbers(reply: object, body: str, where: str) -> None:
    """One text such as "1e999999999" would hold up the event loop for minutes inside ccxt. `body` is the reply as sent:
    hardly any has to be walked through."""
    if not _MAYBE_ENDLESS.search(body):
        return
    for value in scalars(reply):
        if isinstance(value, str) and _ENDLESS.fullmatch(value):
            raise malformed(f"{where}: {value!r:.40} is no number that a venue has")


def text(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise malformed(f"{key}: expected text, got {_kind(value)}")
    return value


def word(row: Row, key: str) -> str:
    """Text, empty where the venue leaves it out (absent or null)."""
    return text(row, key) if row.get(key) not in (None, "") else ""


def words(row: Row, key: str) -> list[str]:
    """A list of texts, empty where the venue leaves it out (absent)."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise malformed(f"{key}: expected a list of texts")
    return found


def flag(row: Row, key: str) -> bool:
    """Whether that is so, sent as true or as text; false where the venue leaves it out (absent, null or empty text)."""
    value = row.get(key)
    if isinstance(value, str) and value.lower() in ("", "false", "true"):
        return value.lower() == "true"
    return value is not None and boolean(row, key)


def boolean(row: Row, key: str) -> bool:
    value = row.get(key)
    if not isinstance(value, bool):
        raise malformed(f"{key}: expected true or false, got {_kind(value)}")
    return value


def plain_number(value: object) -> float:
    """A number, sent as one or as text in plain digits; ValueError for anything else, and where no figure of an
    account lies: a product with one too small would be 0.

    `float` alone takes "nan", "1_0", " 7 " and the digits of every script.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a number, got {_kind(value)}")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r:.40} is not a number")
    try:
        parsed = float(value)
    except OverflowError:  # an integer of more than 308 digits
        parsed = math.inf
    if parsed != 0 and not SMALLEST <= abs(parsed) <= LARGEST:
        raise ValueError(f"{value!r:.40} is not a number that an account has")
    return parsed


def number(row: Row, key: str) -> float:
    try:
        return plain_number(row.get(key))
    except ValueError as error:
        raise malformed(f"{key}: {error}") from None


def optional_number(row: Row, key: str) -> float | None:
    """None where the venue leaves it out (absent, null or empty text)."""
    return None if row.get(key) in (None, "") else number(row, key)


def positive(row: Row, key: str) -> float:
    parsed = number(row, key)
    if parsed <= 0:
        raise malformed(f"{key}: {parsed} is not above 0")
    return parsed


def not_negative(row: Row, key: str) -> float:
    parsed = number(row, key)
    if parsed < 0:
        raise malformed(f"{key}: {parsed} is below 0")
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


def interval_of(hours: float) -> timedelta:
    if not 0 < hours <= MAX_INTERVAL_HOURS:
        raise malformed(f"{hours:g} hours are no interval")
    return timedelta(hours=hours)


def is_absurd(price: float, mark_price: float) -> bool:
    return not mark_price * ABSURD_LOW <= price <= mark_price * ABSURD_HIGH


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)

"""How figures, durations, times and other people's words are written in a message: plain text, one line each."""

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta

from monitor.domain.reading import Unit
from monitor.rules.quantities import ANY_SHARE, Atrs

MAX_FOREIGN_CHARS = 80
UNKNOWN = "unknown"
# How a line of a notice begins that says what to do; a digest has no room for it.
TO_DO = "Do: "

# Characters that mean something to a chat: Discord's markdown, links, and anything that may start a mention.
_MARKUP = str.maketrans({"`": "'", "*": "∗", "[": "(", "]": ")", "\\": "/", "|": "¦", "~": "-"})
_ZERO_WIDTH_SPACE = "\u200b"
_MENTION = re.compile(r"[@<](?=\S)")
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=discord)(?=\.gg)|(?<=\bt)(?=\.me)", re.IGNORECASE)
# A name that is nothing else begins a block with the words that follow it.
_BLOCK = re.compile(r"^(?=(?:#{1,3}|-#|>{1,3})(?: |$))")
_EMPHASIS = re.compile(r"_{2,}|(?<![^\W_])_|_(?![^\W_])")


def foreign(text: object, limit: int = MAX_FOREIGN_CHARS) -> str:
    """A name or error text from outside as harmless words: it pings nobody, links nowhere and stays on its line.

    Control, format and direction characters go; markup that a chat would act on is replaced or broken up. A name of
    nothing else is still named, as "?".
    """
    raw = str(text)[: 4 * limit]
    spaced = "".join(" " if char.isspace() else char for char in raw)
    printable = "".join(char for char in spaced if char == " " or unicodedata.category(char)[0] not in "CZ")
    words = " ".join(printable.translate(_MARKUP).split())
    if not words and raw.strip():
        words = "?"
    # First what changes characters: an underline becomes the dash of a block.
    plain = _EMPHASIS.sub("-", clip(words, limit))
    safe = _BLOCK.sub(_ZERO_WIDTH_SPACE, _MENTION.sub(lambda match: match.group() + _ZERO_WIDTH_SPACE, plain))
    return _LINK.sub(_ZERO_WIDTH_SPACE, safe)


def size(text: str) -> int:
    """In UTF-16 units, as Telegram counts what a message may hold: two for most emoji."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str, limit: int) -> str:
    """At most `limit` of `size`."""
    if size(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * max(limit - 1, 0)].decode("utf-16-le", "ignore")
    return kept.rstrip() + "…"


def price(value: float | None) -> str:
    """Six significant digits, more only where the whole part is longer: 60,123.5, 0.00001234, 1,234,567."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    decimals = max(0, 5 - math.floor(math.log10(abs(value))))
    return _trimmed(f"{value:,.{min(decimals, 12)}f}")


def price_within(value: float, bound: float) -> str:
    """As `price`, rounded towards `bound`: for a price that must not be left on the other side."""
    if not (math.isfinite(value) and math.isfinite(bound)) or abs(value) < 1e-12:
        return price(value)
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 5)
    steps = math.ceil(value / step - 1e-9) if bound > value else math.floor(value / step + 1e-9)
    near = steps * step
    return price(near if abs(near - value) < abs(bound - value) else value)


def amount(value: float | None) -> str:
    """Three significant digits below 100, whole numbers above: 1,240, 12.3, 0.42."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 100 or value == 0:
        return f"{value or 0.0:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return _trimmed(f"{value:,.{min(decimals, 12)}f}")


def amount_to_do(value: float) -> str:
    """The same rounded up: less than this would not be enough."""
    if value < 1e-12 or not math.isfinite(value):
        return amount(value)
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return amount(math.ceil(value / step - 1e-9) * step)


def percent(ratio: float | None, decimals: int = 2) -> str:
    """A fraction as percent; trailing zeros go: 4.2%, 0.35%, 80%."""
    if ratio is None or not math.isfinite(ratio):
        return UNKNOWN
    ratio = ratio or 0.0  # a zero has no sign
    text = f"{ratio * 100:,.{decimals}f}"
    if float(text.replace(",", "")) == 0 and ratio != 0:
        return f"{ratio * 100:.2g}%"
    return f"{_trimmed(text)}%"


def signed(move: float) -> str:
    """A relative move: -7.8%, +20%."""
    return f"+{percent(move)}" if move > 0 else percent(move)


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 12 min, 2 h 5 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def between(start: datetime, end: datetime) -> str:
    return duration((end - start) / timedelta(seconds=1))


def moment(at: datetime, now: datetime) -> str:
    """HH:MM in UTC, with the date on any other day than today."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%d %b %H:%M}"


def quantity(value: float | None, unit: Unit) -> str:
    if value is None:
        return UNKNOWN
    match unit:
        case Unit.RATIO:
            return percent(value)
        case Unit.RATIO_PER_DAY:
            return f"{percent(value)} per day"
        case Unit.SECONDS:
            return duration(value)
        case Unit.COUNT:
            return amount(value)
        case Unit.LEVERAGE:
            return f"{amount(float(f'{value:.3g}'))}x"
        case Unit.RANK:
            return f"{value:.0f} of 5"


def threshold(value: float | None, unit: Unit) -> str:
    """As the YAML writes it."""
    return "any" if value == ANY_SHARE else str(value) if isinstance(value, Atrs) else quantity(value, unit)


def _trimmed(digits: str) -> str:
    short = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if short == "-0" else short  # a zero has no sign

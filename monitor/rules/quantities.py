"""Quantities as people write them in YAML: durations `10s`, ratios `50%`, leverage `5x`.

A bare number is refused, because `warning: 50` could mean 50 % or 5,000 %.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_RANK = re.compile(r"[1-5]")
_COINS = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_LEVERAGE = re.compile(r"(\d+(?:\.\d+)?)\s*x")
_SIGMAS = re.compile(r"(\d+(?:\.\d+)?)\s*sigmas?")
_ATRS = re.compile(r"(\d+(?:\.\d+)?)\s*ATR")

MAX_DURATION_S = 366 * 86400.0
MAX_RATIO = 100.0
MAX_COINS = 1e15
MAX_LEVERAGE = 1000.0
# Of what an ordinary day moves: what is further away than this is not watched by it.
MAX_MOVES = 100.0
# Any share at all; what is less is an error of rounding.
ANY_SHARE = 1e-6


class Atrs(float):
    """So many average true ranges of a day, where other thresholds are shares of a price."""

    def __str__(self) -> str:
        return f"{float(self):g} ATR"


def parse_duration(text: Any) -> float:
    """`90s`, `1m30s`, `500ms`, `2h` to seconds; what is not text of that form raises ValueError."""
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip()):
        raise ValueError("expected a duration with its unit, such as 10s, 5m or 1h30m")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))
    return _bounded(seconds, MAX_DURATION_S, "a duration of up to 366d")


def parse_ratio(text: Any) -> float:
    """`50%` to 0.5."""
    return _parse(text, _RATIO, 100.0, MAX_RATIO, "a ratio in percent, such as 50% or 0.5%")


def parse_leverage(text: Any) -> float:
    """`5x` to 5.0."""
    return _parse(text, _LEVERAGE, 1.0, MAX_LEVERAGE, "a leverage, such as 5x")


def parse_rank(text: Any) -> float:
    """`4` to 4.0: a place in a queue has no unit to forget."""
    if not isinstance(text, str) or not _RANK.fullmatch(text.strip()):
        raise ValueError("expected a rank from 1 to 5")
    return float(text)


def parse_share(text: Any) -> float:
    """`any` to ANY_SHARE, `50%` to 0.5."""
    if isinstance(text, str) and text.strip() == "any":
        return ANY_SHARE
    return _parse(text, _RATIO, 100.0, 1.0, "any, or a share in percent of up to 100%")


def parse_sigmas(text: Any) -> float:
    """`2 sigma` to 2.0."""
    return _parse(text, _SIGMAS, 1.0, MAX_MOVES, "daily sigmas, such as 2 sigma")


def parse_atrs(text: Any) -> Atrs:
    """`2 ATR` to 2."""
    return Atrs(_parse(text, _ATRS, 1.0, MAX_MOVES, "average true ranges, such as 2 ATR"))


def parse_retreat(text: Any) -> float:
    """`5%` to 0.05, `2 ATR` to Atrs(2)."""
    if isinstance(text, str) and _ATRS.fullmatch(text.strip()):
        value: float = parse_atrs(text)
    else:
        value = _parse(text, _RATIO, 100.0, MAX_RATIO, "a retreat such as 5% or 2 ATR")
        if value >= 1:
            raise ValueError("expected less than 100%: no price falls as far")
    if value <= 0:
        raise ValueError("expected more than 0")
    return value


def parse_coins(text: Any) -> float:
    """`1.5` or `-10` to coins: what they are is said by the key they stand under."""
    if not isinstance(text, str) or not _COINS.fullmatch(text.strip()) or abs(float(text)) > MAX_COINS:
        raise ValueError("expected a number of coins, such as 1.5 or -10")
    return float(text)


def _parse(text: Any, pattern: re.Pattern[str], divisor: float, maximum: float, expected: str) -> float:
    match = pattern.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected {expected}")
    return _bounded(float(match[1]) / divisor, maximum, expected)


def _bounded(value: float, maximum: float, expected: str) -> float:
    if not 0 <= value <= maximum:  # also refuses NaN
        raise ValueError(f"expected {expected}")
    return value


def _written(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[float, BeforeValidator(parse_duration), _written(r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "10s")]
Ratio = Annotated[float, BeforeValidator(parse_ratio), _written(r"^\d+(\.\d+)?\s*%$", "50%")]
# A threshold of 0 % would be breached by every figure and cleared by none.
Threshold = Annotated[Ratio, Field(gt=0)]
# The threshold of a share of which nothing at all may be there.
Share = Annotated[float, BeforeValidator(parse_share), Field(gt=0), _written(r"^(any|\d+(\.\d+)?\s*%)$", "any")]
Leverage = Annotated[float, BeforeValidator(parse_leverage), _written(r"^\d+(\.\d+)?\s*x$", "5x")]
Coins = Annotated[
    float,
    BeforeValidator(parse_coins),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}]}),
]
LeverageThreshold = Annotated[Leverage, Field(gt=0)]
Sigmas = Annotated[float, BeforeValidator(parse_sigmas), Field(gt=0), _written(r"^\d+(\.\d+)?\s*sigmas?$", "2 sigma")]
# Plain: pydantic would make a float of what it is.
AtrThreshold = Annotated[Atrs, PlainValidator(parse_atrs), _written(r"^\d+(\.\d+)?\s*ATR$", "1.5 ATR")]
Retreat = Annotated[float, PlainValidator(parse_retreat), _written(r"^\d+(\.\d+)?\s*(%|ATR)$", "2 ATR")]
Rank = Annotated[
    float,
    BeforeValidator(parse_rank),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "string", "pattern": "^[1-5]$"}]}
    ),
]

"""Quantities as people write them in YAML: durations `10s`, ratios `50%`, leverage `5x`.

A bare number is refused, because `warning: 50` could mean 50 % or 5,000 %.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_RANK = re.compile(r"[1-5]")
_LEVERAGE = re.compile(r"(\d+(?:\.\d+)?)\s*x")

MAX_DURATION_S = 366 * 86400.0
MAX_RATIO = 100.0
MAX_LEVERAGE = 1000.0
# Any share at all; what is less is an error of rounding.
ANY_SHARE = 1e-6


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
LeverageThreshold = Annotated[Leverage, Field(gt=0)]
Rank = Annotated[
    float,
    BeforeValidator(parse_rank),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "string", "pattern": "^[1-5]$"}]}
    ),
]

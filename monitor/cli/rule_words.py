"""What the YAML asks of a rule, in one line: whom it is for, its thresholds, and what else differs from the default."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from monitor.notify.text import duration, percent, threshold
from monitor.rules.base import Rule, SeverityDurations, Where

# Said in another way, or of no use here.
_APART = frozenset({"kind", "where", "warning", "critical"})


def where_words(where: Where) -> str:
    """`symbol BTC/*, side long`; empty where it is for everything."""
    filters = where.model_dump(exclude_none=True)
    return ", ".join(
        f"{key} {' or '.join(value) if isinstance(value, tuple) else value}" for key, value in filters.items()
    )


def rule_words(rule: Rule) -> str:
    """`warning 2 ATR, critical 3 ATR, where symbol BTC/*, for 10 min`."""
    return ", ".join(_parts(rule))


def own_parameters(kind: type[Rule]) -> dict[str, str]:
    """What only this kind takes beside its thresholds, by name: its description, what may stand there, its default."""
    return {
        name: (field.description or "") + _choices(field.annotation) + _default(name, field)
        for name, field in kind.model_fields.items()
        if name not in Rule.model_fields and name not in _APART
    }


def _choices(annotation: Any) -> str:
    """`; day, week or all`; empty of what is no choice."""
    names = (
        list(annotation) if isinstance(annotation, type) and issubclass(annotation, StrEnum) else get_args(annotation)
    )
    if not names or not all(isinstance(name, str) for name in names):
        return ""
    *others, last = names
    return f"; {', '.join(others)} or {last}"


def _default(name: str, field: FieldInfo) -> str:
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    return f"; {WORDS[name](value)} where not given" if value else ""


def _parts(rule: Rule) -> Iterator[str]:
    for severity in ("warning", "critical"):
        if (value := getattr(rule, severity, None)) is not None:
            yield f"{severity} {threshold(value, rule.unit)}"
    if where := where_words(rule.where):
        yield f"where {where}"
    for name, field in type(rule).model_fields.items():
        value = getattr(rule, name)
        if name not in _APART and value is not None and value != field.get_default(call_default_factory=True):
            yield f"{(field.alias or name).replace('_', ' ')} {WORDS[name](value)}"


def _waits(value: float | SeverityDurations) -> str:
    if not isinstance(value, SeverityDurations):
        return duration(value)
    waits = {"warning": value.warning, "critical": value.critical}
    return " and ".join(f"{duration(wait)} ({severity})" for severity, wait in waits.items() if wait is not None)


def _number(unit: str) -> Callable[[float], str]:
    return lambda value: f"{value:g}{unit}"


# How each parameter that is no threshold is written.
WORDS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "for_": _waits,
        "keep_firing_for": _waits,
        "hysteresis": percent,
        "depth_share": percent,
        "hard_cap": _number("x"),
        "warning_sigmas": _number(" sigma"),
        "critical_sigmas": _number(" sigma"),
        "levels": lambda levels: " ".join(percent(level) for level in levels),
        "offset": lambda coins: " ".join(f"{coin} {amount:g}" for coin, amount in coins.items()),
        "basket": " ".join,
        **dict.fromkeys(("window", "severity", "take_profit", "noise"), str),
    }
)

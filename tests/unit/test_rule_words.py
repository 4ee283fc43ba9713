"""A rule in one line, as `perpwatch check` says what was understood of the YAML."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from monitor.cli.rule_words import WORDS, own_parameters, rule_words
from monitor.rules.base import Rule
from monitor.rules.book import RULE_KINDS, AnyRule

_RULE: TypeAdapter[Any] = TypeAdapter(AnyRule)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "margin_ratio", "warning": "30%"}, "warning 30%"),
        (
            {"kind": "stop_missing", "warning": "any", "critical": "any", "for": {"critical": "15m"}},
            "warning any, critical any, for 15 min (critical)",
        ),
        (
            {"kind": "liquidation_distance", "critical": "6%", "where": {"symbol": ["BTC/*", "ETH/*"], "side": "long"}},
            "critical 6%, where symbol BTC/* or ETH/*, side long",
        ),
        (
            {"kind": "liquidation_distance", "warning": "12%", "warning_sigmas": "2 sigma"},
            "warning 12%, warning sigmas 2 sigma",
        ),
        ({"kind": "drawdown", "warning": "5%", "window": "week", "for": "10m"}, "warning 5%, for 10 min, window week"),
        ({"kind": "take_profit", "levels": ["5%", "10%"]}, "levels 5% 10%"),
        ({"kind": "hedge", "warning": "10%", "offset": {"BTC": "1.5", "ETH": "-10"}}, "offset BTC 1.5 ETH -10"),
        ({"kind": "volatility_leverage", "warning": "8%", "hard_cap": "5x"}, "warning 8%, hard cap 5x"),
        ({"kind": "trailing_stop", "warning": "1.5 ATR", "hysteresis": "20%"}, "warning 1.5 ATR, hysteresis 20%"),
    ],
)
def test_what_differs_from_the_default_is_said(given: dict[str, Any], words: str) -> None:
    assert rule_words(_RULE.validate_python(given)).endswith(words)


def test_every_parameter_of_every_kind_has_words_and_a_description() -> None:
    general = set(Rule.model_fields) - {"kind", "where"}
    for kind in RULE_KINDS.values():
        own = own_parameters(kind)
        assert general | set(own) <= set(WORDS), kind
        assert all(own.values()), kind


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("drawdown", "window", "since when the peak counts, in UTC; day, week or all; day where not given"),
        ("take_profit", "severity", "how a level that is reached is told; info or warning; warning where not given"),
        ("exit_liquidity", "depth_share", "share of the told book that a slice of an exit takes; 50% where not given"),
        ("hedge", "basket", "coins that hedge each other, by beta: [BTC, ETH, SOL]"),
    ],
)
def test_what_a_kind_takes_is_told_with_its_choices_and_its_default(kind: str, name: str, words: str) -> None:
    assert own_parameters(RULE_KINDS[kind])[name] == words

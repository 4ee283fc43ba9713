"""The formulas of `perpwatch explain`: figures in the place of whole names, and of nothing else."""

from typing import Any

import pytest

from monitor.cli.explain import _told, worked
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Verdict
from monitor.rules.base import Rule
from monitor.rules.stop_missing import StopMissing
from monitor.rules.take_profit import TakeProfit
from monitor.rules.total_exposure import TotalExposure
from monitor.rules.trailing_stop import TrailingStop


@pytest.mark.parametrize(
    ("rule", "value", "inputs", "numbers"),
    [
        (
            TrailingStop.model_validate({"warning": "5%"}),
            0.05,
            {"best_mark": 4_001.5, "mark_price": 3_801.5, "entry_price": 3_900.0},
            "(4,001.5 - 3,801.5) / 4,001.5, of a short the negative = 5%",
        ),
        (
            StopMissing.model_validate({"warning": "any"}),
            0.75,
            {"covered": 0.25, "stops": 2, "take_profits": 0},
            "1 - 25%, the share of the position that reduce-only orders would close in time = 75%",
        ),
        (
            TotalExposure.model_validate({"warning": "5x"}),
            6.5,
            {"gross_notional": 65_000.0, "equity": 10_000.0, "accounts": 2},
            "65,000 / 10,000, over all that is watched = 6.5x",
        ),
        (
            TakeProfit.model_validate({"levels": ["5%"]}),
            0.06,
            {"level": 0.05, "gain": 0.02, "mark_price": 102.0, "entry_price": 100.0},
            "the most since it was entered of (102 - 100) / 100, of a short the negative = 6%",
        ),
    ],
)
def test_the_figures_stand_where_their_names_stood(
    rule: Rule, value: float, inputs: dict[str, Any], numbers: str
) -> None:
    key = AlertKey(rule.kind, "main", Scope.POSITION, "ETH/USDT:USDT long")
    levels = (Level(Severity.WARNING, Verdict.BREACH, value),)
    assert worked(rule, Reading(key=key, levels=levels, value=value, unit=rule.unit, inputs=inputs)) == numbers


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("btc_fall", -0.0077912, "-0.78%"),
        ("covered", 0.25, "25%"),
        ("entry_price", 100_000.0, "100,000"),
        ("equity", 4_000.4, "4,000"),
        ("holds_coins_still", False, "no"),
        ("peak_at", "2025-10-11T00:00:05+00:00", "2025-10-11 00:00:05 UTC"),
    ],
)
def test_an_input_is_written_as_what_it_is(name: str, value: str | float, words: str) -> None:
    assert _told(name, value) == words

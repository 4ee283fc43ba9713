"""Thresholds in what a day moves: distances in sigmas, stops in ATR, shocks by measured betas; and their messages."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.domain.account import AccountSnapshot, MarginMode, PriceOrigin, Side
from monitor.domain.market import Markets, MarketState
from monitor.domain.reading import Need, Reading, Severity, Verdict
from monitor.domain.study import NoStudy, Study
from monitor.domain.track import Track
from monitor.notify.message import render
from monitor.risk.track import track_after
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, an_instrument, at, flat_tiers
from tests.outbox import a_row, facts
from tests.studies import a_study
from tests.unit.test_rule_stop_missing import a_stop

LONG = "BTC/USDT:USDT long"
UNREAD: Markets = {}
YOUNG = {"BTC/USDT:USDT": MarketState(instrument=an_instrument(), no_study=NoStudy("too young"))}
UNTOLD = {"BTC/USDT:USDT": MarketState(instrument=an_instrument(), no_study=NoStudy("not told", is_untold=True))}


def moving(sigma: float = 0.02, atr: float = 3.0) -> Markets:
    return a_market(study=Study(fast_sigma=sigma, slow_sigma=0.0, atr=atr, returns={}))


def message(reading: Reading) -> list[str]:
    assert reading.severity is not None
    told = facts(
        rule_kind=reading.key.rule,
        value=reading.value,
        threshold=reading.threshold,
        unit=reading.unit,
        inputs=reading.inputs,
    )
    rendered = render([a_row(key=reading.key, severity=reading.severity, facts=told)], NOON, 2000)
    return [rendered.title, *rendered.body.splitlines()]


# ---- liquidation_distance in sigmas

SIGMAS = {"warning": "3%", "critical": "1.5%", "warning_sigmas": "2 sigma", "critical_sigmas": "1 sigma"}


def distance(liquidation: float | None, markets: Markets, **keys: Any) -> Reading:
    origin = PriceOrigin.NONE if liquidation is None else PriceOrigin.VENUE
    position = a_position(liquidation_price=liquidation, liquidation_price_origin=origin)
    rule = a_rule("liquidation_distance", **SIGMAS | keys)
    context = Context(snapshot=a_snapshot(position), markets=markets, now=NOON)
    (reading,) = evaluate_rules({"liquidation_distance": rule}, context)
    return reading


@pytest.mark.parametrize(
    ("liquidation", "sigma", "severity", "threshold"),
    [
        (95.0, 0.010, None, 0.03),
        (97.1, 0.010, Severity.WARNING, 0.03),
        (95.0, 0.030, Severity.WARNING, 0.06),
        (97.1, 0.030, Severity.CRITICAL, 0.03),
        # A distance below the fixed share is too little, however calm the market is.
        (98.6, 0.001, Severity.CRITICAL, 0.015),
    ],
)
def test_what_a_day_moves_may_ask_for_more_room_and_never_for_less(
    liquidation: float, sigma: float, severity: Severity | None, threshold: float
) -> None:
    reading = distance(liquidation, moving(sigma))
    assert reading.severity is severity
    assert reading.threshold == pytest.approx(threshold)


def test_what_is_critical_is_a_warning_as_well() -> None:
    reading = distance(96.0, moving(0.05), warning_sigmas=None)
    assert [level.verdict for level in reading.levels] == [Verdict.BREACH, Verdict.BREACH]


@pytest.mark.parametrize(
    ("markets", "liquidation", "verdict", "severity"),
    [
        (UNREAD, 95.0, Verdict.UNKNOWN, None),
        (YOUNG, 95.0, Verdict.UNKNOWN, None),
        (YOUNG, 97.5, Verdict.BREACH, Severity.WARNING),
        (YOUNG, 99.0, Verdict.BREACH, Severity.CRITICAL),
        (UNTOLD, 95.0, Verdict.CLEAR, None),
        (YOUNG, None, Verdict.CLEAR, None),
    ],
)
def test_without_sigmas_the_share_alone_may_breach_and_is_not_known_to_be_clear(
    markets: Markets, liquidation: float | None, verdict: Verdict, severity: Severity | None
) -> None:
    reading = distance(liquidation, markets)
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert verdict is not Verdict.UNKNOWN or reading.inputs["why"]


def test_shares_alone_need_no_candles() -> None:
    assert a_rule("liquidation_distance", warning="3%").needs == frozenset()
    assert a_rule("liquidation_distance", **SIGMAS).needs == {Need.CANDLES}
    assert distance(95.0, UNREAD, warning_sigmas=None, critical_sigmas=None).verdict is Verdict.CLEAR


def test_sigmas_stand_beside_a_share() -> None:
    with pytest.raises(ValidationError, match="give critical beside critical_sigmas"):
        a_rule("liquidation_distance", warning="3%", critical_sigmas="1 sigma")


def test_the_remedy_clears_the_threshold_of_today() -> None:
    position = a_position(contracts=100, liquidation_price=95.0, liquidation_price_origin=PriceOrigin.VENUE)
    markets = a_market(tiers=flat_tiers(0.004), study=Study(fast_sigma=0.04, slow_sigma=0.0, atr=1.0, returns={}))
    rule = a_rule("liquidation_distance", **SIGMAS)
    context = Context(snapshot=a_snapshot(position, equity=538.0), markets=markets, now=NOON)
    (reading,) = rule.evaluate("liquidation_distance", context)
    added = reading.inputs["add_collateral"]
    # From 5 % to 2 * 4 % and its band of a tenth.
    assert added == pytest.approx(10_000 * (0.088 - 0.05), rel=0.01)


def test_a_message_tells_the_distance_in_daily_sigmas_and_how_likely_it_is_reached() -> None:
    told = message(distance(97.0, moving(0.02)))
    assert told[0] == "WARNING main: BTC/USDT:USDT long 3% from liquidation"
    assert told[1] == "Distance to liquidation 3%, 1.5 daily sigmas (warning at 4%)"
    assert "reached within a day with a chance of 13% or more" in told
    assert not any("chance" in line for line in message(distance(98.6, moving(0.001)))), "no false calm"


# ---- trailing_stop in ATR


def retreat(marks: tuple[float, ...], markets: Markets, side: Side = Side.LONG, **keys: Any) -> tuple[Reading, ...]:
    track: Track | None = None
    snapshot: AccountSnapshot = a_snapshot()
    for number, mark in enumerate(marks):
        position = a_position(mark_price=mark, entry_price=100.0, side=side)
        snapshot = a_snapshot(position, observed_at=at(10.0 * number))
        track = track_after(track, snapshot, {})
    rule = a_rule("trailing_stop", **{"warning": "2 ATR", "critical": "3 ATR"} | keys)
    return evaluate_rules({"trailing_stop": rule}, Context(snapshot=snapshot, markets=markets, now=NOON, track=track))


@pytest.mark.parametrize(
    ("side", "marks", "verdict", "severity", "stop"),
    [
        (Side.LONG, (100, 120, 116), Verdict.CLEAR, None, None),
        (Side.LONG, (100, 120, 114), Verdict.BREACH, Severity.WARNING, 114.0),
        (Side.LONG, (100, 120, 110), Verdict.BREACH, Severity.CRITICAL, 111.0),
        (Side.SHORT, (100, 80, 86), Verdict.BREACH, Severity.WARNING, 86.0),
        (Side.SHORT, (100, 80, 85), Verdict.HOLD, Severity.WARNING, None),
    ],
)
def test_a_stop_stands_so_many_true_ranges_behind_the_best_mark(
    side: Side, marks: tuple[float, ...], verdict: Verdict, severity: Severity | None, stop: float | None
) -> None:
    (reading,) = retreat(marks, moving(atr=3.0), side, hysteresis="20%")
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.inputs.get("stop_price") == (None if stop is None else pytest.approx(stop))


@pytest.mark.parametrize(
    ("markets", "why"),
    [
        (UNREAD, "BTC/USDT:USDT: its candles were not asked for"),
        (YOUNG, "BTC/USDT:USDT: too young"),
    ],
)
def test_a_stop_in_true_ranges_that_are_not_known_is_unknown_and_says_why(markets: Markets, why: str) -> None:
    (reading,) = retreat((100, 50), markets)
    assert (reading.verdict, reading.inputs["why"]) == (Verdict.UNKNOWN, why)


@pytest.mark.parametrize(("mark", "verdict"), [(99.1, Verdict.CLEAR), (98.9, Verdict.BREACH)])
def test_a_price_that_hardly_moves_has_a_range_all_the_same(mark: float, verdict: Verdict) -> None:
    (reading,) = retreat((100, mark), moving(atr=0.0), hysteresis="0%")
    assert reading.verdict is verdict


def test_a_stop_in_true_ranges_is_not_judged_where_they_are_never_told() -> None:
    assert retreat((100, 50), UNTOLD) == ()
    (in_percent,) = retreat((100, 50), UNTOLD, warning="3%", critical="5%")
    assert in_percent.severity is Severity.CRITICAL


def test_a_stop_in_percent_needs_no_candles() -> None:
    assert a_rule("trailing_stop", warning="3%").needs == frozenset()
    assert a_rule("trailing_stop", warning="2 ATR").needs == {Need.CANDLES}


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"warning": "2 ATR", "critical": "5%"}, "both be in percent, or both in ATR"),
        ({"warning": "3 ATR", "critical": "2 ATR"}, "warning must be below critical"),
        ({"warning": "0 ATR"}, "expected more than 0"),
        ({"warning": "2"}, "expected a retreat such as 5% or 2 ATR"),
        ({"warning": "2 sigma"}, "expected a retreat such as 5% or 2 ATR"),
    ],
)
def test_a_stop_is_in_one_measure_and_in_order(keys: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        a_rule("trailing_stop", **keys)


def test_what_is_on_its_way_is_marked_so() -> None:
    """Of such a reading nothing is told yet."""
    pending = {"BTC/USDT:USDT": MarketState(instrument=an_instrument(), no_study=NoStudy("soon", is_pending=True))}
    readings = (*retreat((100, 99), pending), distance(95.0, pending), *stopped(pending, 99.0))
    assert [reading.inputs.get("is_pending") for reading in readings] == [True] * 3
    assert all(reading.is_unknown for reading in readings)
    (failed,) = retreat((100, 99), YOUNG)
    assert "is_pending" not in failed.inputs


def test_a_message_tells_the_retreat_in_true_ranges() -> None:
    (reading,) = retreat((100, 120, 114), moving(atr=3.0))
    assert message(reading)[1] == "Trailing stop: 5% back, 2.0 ATR (warning at 5%)"


# ---- stop_missing within the noise


def stopped(markets: Markets, *triggers: float, side: Side = Side.LONG, **keys: Any) -> tuple[Reading, ...]:
    position = a_position(side=side, mark_price=100.0)
    orders = tuple(a_stop(position, trigger) for trigger in triggers)
    snapshot = a_snapshot(position, orders=orders, orders_at=NOON)
    rule = a_rule("stop_missing", **{"warning": "any", "noise": "1.5 ATR"} | keys)
    return evaluate_rules({"stop_missing": rule}, Context(snapshot=snapshot, markets=markets, now=NOON))


@pytest.mark.parametrize(
    ("side", "triggers", "verdict"),
    [
        (Side.LONG, (95.4,), Verdict.CLEAR),
        (Side.LONG, (95.6,), Verdict.BREACH),
        (Side.LONG, (90.0, 99.0), Verdict.BREACH),
        (Side.SHORT, (104.4,), Verdict.BREACH),
        (Side.SHORT, (104.6,), Verdict.CLEAR),
    ],
)
def test_a_stop_closer_to_the_entry_than_noise_is_told_where_its_owner_asks(
    side: Side, triggers: tuple[float, ...], verdict: Verdict
) -> None:
    (reading,) = stopped(moving(atr=3.0), *triggers, side=side)
    assert (reading.verdict, reading.value) == (verdict, 0.0)
    (unasked,) = stopped(moving(atr=3.0), *triggers, side=side, noise=None)
    assert unasked.verdict is Verdict.CLEAR


def test_a_stop_that_protects_a_gain_is_not_too_close() -> None:
    position = a_position(mark_price=110.0, entry_price=100.0)
    (reading,) = stopped(moving(atr=3.0), 95.0)
    assert reading.verdict is Verdict.CLEAR
    rule = a_rule("stop_missing", warning="any", noise="1.5 ATR")
    context = Context(
        snapshot=a_snapshot(position, orders=(a_stop(position, 109.0),), orders_at=NOON),
        markets=moving(atr=3.0),
        now=NOON,
    )
    assert [reading.verdict for reading in rule.evaluate("stop_missing", context)] == [Verdict.CLEAR]


@pytest.mark.parametrize(
    ("markets", "triggers", "verdict"),
    [
        (YOUNG, (99.0,), Verdict.UNKNOWN),
        (YOUNG, (), Verdict.BREACH),
        (UNTOLD, (99.0,), Verdict.CLEAR),
    ],
)
def test_noise_that_is_not_known_hides_no_missing_stop(
    markets: Markets, triggers: tuple[float, ...], verdict: Verdict
) -> None:
    (reading,) = stopped(markets, *triggers)
    assert reading.verdict is verdict


def test_a_message_says_where_noise_ends() -> None:
    (reading,) = stopped(moving(atr=3.0), 99.0)
    told = message(reading)
    assert told[0] == "WARNING main: BTC/USDT:USDT long has a stop within the noise"
    assert "a stop is 0.33 ATR from the entry, which an ordinary day moves either way" in told
    assert told[-1] == "Do: move the stop below 95.5, and hold less where that risks too much"


# ---- common_shock by measured betas

BTC_MOVES = [0.01, -0.02, 0.015, -0.005] * 15


def shock(*betas: float, sides: tuple[Side, Side] = (Side.LONG, Side.LONG), equity: float = 900.0) -> Reading:
    symbols = ("SOL/USDT:USDT", "DOGE/USDT:USDT")
    markets = a_market(study=a_study(BTC_MOVES))
    for symbol, beta in zip(symbols, betas, strict=False):
        markets |= a_market(symbol, study=a_study([move * beta for move in BTC_MOVES]))
    positions = [
        a_position(symbol=symbol, side=side, contracts=10, rate=1e-9, margin_mode=MarginMode.CROSS)
        for symbol, side in zip(symbols, sides, strict=True)
    ]
    context = Context(snapshot=a_snapshot(*positions, equity=equity), markets=markets, now=NOON)
    rule = a_rule("common_shock", warning="20%", critical="8%")
    assert rule.needs == {Need.CANDLES}
    (reading,) = rule.evaluate("common_shock", context)
    return reading


@pytest.mark.parametrize(
    ("betas", "value"),
    [
        ((), 900 / (2 * 2500)),
        ((1.2, 1.2), 900 / (2 * 2500)),
        ((4.0, 1.2), 900 / (4000 + 2500)),
        ((4.0, 4.0), 900 / (2 * 4000)),
    ],
)
def test_a_measured_beta_counts_where_it_is_worse_than_the_floor(betas: tuple[float, ...], value: float) -> None:
    assert shock(*betas).value == pytest.approx(value, rel=1e-3)


def test_a_leg_that_gains_is_counted_with_its_beta_of_one_at_most() -> None:
    hedged = {"sides": (Side.LONG, Side.SHORT), "equity": 300.0}
    assert shock(1.2, 2.0, **hedged).value == pytest.approx(300 / (2500 - 1000), rel=1e-3)  # type: ignore[arg-type]
    assert shock(1.2, 0.3, **hedged).value == pytest.approx(300 / (2500 - 300), rel=1e-3)  # type: ignore[arg-type]


def test_the_remedy_of_a_shock_counts_with_the_same_betas() -> None:
    reading = shock(4.0, 4.0)
    added = reading.inputs["add_collateral"]
    assert isinstance(added, float)
    assert shock(4.0, 4.0, equity=900.0 + added).verdict is Verdict.CLEAR
    assert shock(4.0, 4.0, equity=900.0 + added * 0.99).verdict is not Verdict.CLEAR


def test_a_message_tells_the_shock_in_sigmas_of_bitcoin() -> None:
    reading = shock(4.0, 4.0)
    sigma = a_study(BTC_MOVES).sigma
    expected = f"BTC is 11.25% from liquidating it, {0.1125 / sigma:.1f} of its daily sigmas (warning at 20%)"
    assert message(reading)[1] == expected


def test_a_study_made_anew_is_another_study() -> None:
    study = a_study(BTC_MOVES)
    assert study != replace(study)

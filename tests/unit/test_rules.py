"""The three rules: their verdicts, the figures they explain themselves with, and what they cannot know."""

from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, MarginMode, PriceOrigin, Side
from monitor.domain.market import Markets
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, at, flat_tiers

BREACH, HOLD, CLEAR, UNKNOWN = Verdict.BREACH, Verdict.HOLD, Verdict.CLEAR, Verdict.UNKNOWN


def judge(snapshot: AccountSnapshot, kind: str, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    context = Context(snapshot=snapshot, markets=markets or {}, now=NOON)
    return evaluate_rules({kind: a_rule(kind, **keys)}, context)


@pytest.mark.parametrize(
    ("maintenance", "verdict", "severity"),
    [
        (44.9, CLEAR, None),
        (45.1, HOLD, Severity.WARNING),
        (50.0, BREACH, Severity.WARNING),
        (72.1, BREACH, Severity.WARNING),
        (80.0, BREACH, Severity.CRITICAL),
        (130.0, BREACH, Severity.CRITICAL),
    ],
)
def test_margin_ratio_is_judged_at_both_thresholds_with_a_band_below_each(
    maintenance: float, verdict: Verdict, severity: Severity | None
) -> None:
    snapshot = a_snapshot(a_position(maintenance_margin=maintenance), equity=100)
    (reading,) = judge(snapshot, "margin_ratio", warning="50%", critical="80%")
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(maintenance / 100)


def test_a_pool_whose_equity_is_gone_is_critical_though_no_ratio_describes_it() -> None:
    snapshot = a_snapshot(a_position(maintenance_margin=5.0), equity=-3)
    (reading,) = judge(snapshot, "margin_ratio", warning="50%", critical="80%")
    assert (reading.verdict, reading.severity, reading.value) == (BREACH, Severity.CRITICAL, None)


@pytest.mark.parametrize(("equity", "maintenance"), [(None, 5.0), (100.0, None)])
def test_a_margin_figure_nobody_told_is_unknown_and_says_so(equity: float | None, maintenance: float | None) -> None:
    snapshot = a_snapshot(a_position(maintenance_margin=maintenance), equity=equity)
    (reading,) = judge(snapshot, "margin_ratio", warning="50%", critical="80%")
    assert reading.is_unknown
    assert "did not tell" in str(reading.inputs["why"])


def test_an_empty_account_is_clear() -> None:
    (reading,) = judge(a_snapshot(equity=0), "margin_ratio", warning="50%")
    assert (reading.verdict, reading.value) == (CLEAR, 0.0)


def test_a_margin_breach_says_what_to_add_and_what_to_cut() -> None:
    snapshot = a_snapshot(a_position(contracts=2, mark_price=1000, rate=0.05), equity=125)
    (reading,) = judge(snapshot, "margin_ratio", a_market(tiers=flat_tiers(0.05)), warning="50%", critical="80%")
    assert reading.inputs["add_collateral"] == pytest.approx(100 / 0.45 - 125, rel=0.01)
    assert reading.inputs["cut_share"] == pytest.approx(1 - 0.45 * 125 / 100, rel=0.01)
    assert reading.inputs["cut_size"] == pytest.approx(2 * (1 - 0.5625), rel=0.01)


def test_cutting_an_isolated_position_is_not_offered_since_its_margin_leaves_with_it() -> None:
    position = a_position(mark_price=1000, rate=0.05, margin_mode=MarginMode.ISOLATED, pool="isolated:x")
    (reading,) = judge(a_snapshot(position, equity=60), "margin_ratio", a_market(tiers=flat_tiers(0.05)), warning="50%")
    assert "cut_share" not in reading.inputs
    assert reading.inputs["add_collateral"] == pytest.approx(50 / 0.45 - 60, rel=0.01)


@pytest.mark.parametrize(
    ("side", "liquidation_price", "value", "severity"),
    [
        (Side.LONG, 80.0, 0.20, None),
        (Side.LONG, 86.0, 0.14, Severity.WARNING),
        (Side.LONG, 95.0, 0.05, Severity.CRITICAL),
        (Side.LONG, 101.0, -0.01, Severity.CRITICAL),
        (Side.SHORT, 120.0, 0.20, None),
        (Side.SHORT, 105.0, 0.05, Severity.CRITICAL),
        (Side.SHORT, 99.0, -0.01, Severity.CRITICAL),
    ],
)
def test_liquidation_distance_is_measured_from_the_mark_against_the_position(
    side: Side, liquidation_price: float, value: float, severity: Severity | None
) -> None:
    position = a_position(
        side=side, liquidation_price=liquidation_price, liquidation_price_origin=PriceOrigin.VENUE, mark_price=100
    )
    (reading,) = judge(a_snapshot(position), "liquidation_distance", warning="15%", critical="7%")
    assert reading.value == pytest.approx(value)
    assert reading.severity is severity


def test_a_position_the_venue_says_has_no_liquidation_price_is_clear() -> None:
    position = a_position(liquidation_price_origin=PriceOrigin.NONE)
    (reading,) = judge(a_snapshot(position), "liquidation_distance", warning="15%")
    assert (reading.verdict, reading.value) == (CLEAR, None)


def test_without_a_price_of_the_venue_our_own_solve_stands_in_and_is_marked_so() -> None:
    position = a_position(mark_price=100, rate=0.004)
    (reading,) = judge(
        a_snapshot(position, equity=5, other_maintenance=4), "liquidation_distance", warning="15%", critical="7%"
    )
    assert reading.value == pytest.approx(0.0060, abs=0.00005)
    assert reading.inputs["liquidation_price_origin"] == "own_estimate"


def test_where_neither_the_venue_nor_we_know_the_price_the_reading_is_unknown() -> None:
    (reading,) = judge(a_snapshot(a_position(maintenance_margin=None)), "liquidation_distance", warning="15%")
    assert reading.is_unknown


def test_the_gaining_leg_of_a_hedge_shares_the_distance_of_the_losing_one() -> None:
    common: dict[str, Any] = {
        "liquidation_price": 82.47,
        "liquidation_price_origin": PriceOrigin.VENUE,
        "mark_price": 100.0,
    }
    long = a_position(contracts=2, rate=0.01, **common)
    short = a_position(contracts=1, side=Side.SHORT, rate=0.01, **common)
    readings = judge(a_snapshot(long, short, equity=20), "liquidation_distance", warning="15%", critical="7%")
    assert [reading.value for reading in readings] == [pytest.approx(0.1753), pytest.approx(0.1753)]


def test_a_distance_breach_says_what_brings_it_back_proven_by_repricing() -> None:
    tiers = flat_tiers(0.01)
    position = a_position(mark_price=100, rate=0.01, liquidation_price=95.0, liquidation_price_origin=PriceOrigin.VENUE)
    equity = 5 + 95 * 0.01
    (reading,) = judge(
        a_snapshot(position, equity=equity), "liquidation_distance", a_market(tiers=tiers), warning="15%", critical="7%"
    )
    # At 83.5 (15 % and the band of 10 % below 100) the loss is 16.5 and 0.835 is owed.
    assert reading.inputs["add_collateral"] == pytest.approx(16.5 + 0.835 - equity, rel=0.01)
    assert reading.inputs["cut_share"] == pytest.approx(1 - equity / (16.5 + 0.835), rel=0.01)


def funding(rate: float, *, side: Side = Side.LONG, hours: float = 8, equity: float = 100.0, **keys: Any) -> Reading:
    position = a_position(side=side, mark_price=1000)
    markets = a_market(rate=rate, interval=timedelta(hours=hours))
    (reading,) = judge(
        a_snapshot(position, equity=equity), "funding_exposure", markets, **{"warning": "0.5%", "critical": "2%"} | keys
    )
    return reading


@pytest.mark.parametrize(
    ("rate", "side", "hours", "value"),
    [
        (0.0001, Side.LONG, 8, 0.003),
        (0.0001, Side.LONG, 1, 0.024),
        (0.0001, Side.SHORT, 8, 0.0),
        (-0.0005, Side.SHORT, 4, 0.03),
    ],
)
def test_funding_counts_what_is_paid_per_day_by_the_real_interval(
    rate: float, side: Side, hours: float, value: float
) -> None:
    assert funding(rate, side=side, hours=hours).value == pytest.approx(value)


def test_receipts_offset_payments_but_never_alert() -> None:
    long = a_position(mark_price=1000)
    short = a_position(symbol="ETH/USDT:USDT", side=Side.SHORT, mark_price=1000)
    markets = a_market(rate=0.0010) | a_market("ETH/USDT:USDT", rate=0.0004)
    (reading,) = judge(a_snapshot(long, short, equity=100), "funding_exposure", markets, warning="0.5%")
    assert reading.value == pytest.approx((1.0 - 0.4) * 3 / 100)


@pytest.mark.parametrize(
    "markets", [{}, a_market(rate=0.0001, interval=None), a_market(rate=0.0001, observed_at=at(-301))]
)
def test_a_missing_or_old_rate_or_interval_makes_funding_unknown(markets: Markets) -> None:
    (reading,) = judge(a_snapshot(a_position()), "funding_exposure", markets, warning="0.5%")
    assert reading.is_unknown
    assert "BTC/USDT:USDT" in str(reading.inputs["why"])


def test_a_funding_breach_names_the_next_payment_and_what_would_do() -> None:
    reading = funding(0.0005)
    assert reading.inputs["next_payment"] == pytest.approx(0.5)
    assert reading.inputs["next_payment_at"] == at(4 * 3600).isoformat()
    assert reading.inputs["cut_share"] == pytest.approx(1 - 0.0045 / 0.015)


def test_of_two_rules_of_one_kind_the_more_specific_one_judges_a_position() -> None:
    doge = a_position(symbol="DOGE/USDT:USDT", liquidation_price=75, liquidation_price_origin=PriceOrigin.VENUE)
    btc = a_position(liquidation_price=75, liquidation_price_origin=PriceOrigin.VENUE)
    rules = {
        "doge_distance": a_rule("liquidation_distance", where={"symbol": "DOGE/*"}, warning="30%", critical="15%"),
        "liquidation_distance": a_rule("liquidation_distance", warning="15%", critical="7%"),
    }
    readings = evaluate_rules(rules, Context(snapshot=a_snapshot(doge, btc), markets={}, now=NOON))
    assert {(r.key.subject, r.key.rule, r.verdict) for r in readings} == {
        ("DOGE/USDT:USDT long", "doge_distance", BREACH),
        ("BTC/USDT:USDT long", "liquidation_distance", CLEAR),
    }


def test_of_two_rules_for_the_very_same_the_later_one_alone_is_told_also_of_a_sum_over_some_positions() -> None:
    rules = {
        "funding_exposure": a_rule("funding_exposure", warning="1%"),
        "one": a_rule("funding_exposure", where={"symbol": "BTC/*"}, warning="2%"),
        "two": a_rule("funding_exposure", where={"symbol": "BTC/*"}, warning="3%"),
        "third": a_rule("funding_exposure", where={"side": "long"}, warning="4%"),
    }
    readings = evaluate_rules(rules, Context(snapshot=a_snapshot(a_position()), markets={}, now=NOON))
    assert {reading.key.rule for reading in readings} == {"funding_exposure", "two", "third"}


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        ({"account": "ma*"}, True),
        ({"account": "fund-*"}, False),
        ({"venue": ["bybit", "binance*"]}, True),
        ({"symbol": "BTC/*"}, True),
        ({"symbol": "btc/*"}, False),
        ({"side": "short"}, False),
        ({"margin_mode": "cross", "side": "long"}, True),
    ],
)
def test_where_filters_by_account_venue_symbol_side_and_margin_mode(where: dict[str, Any], matches: bool) -> None:
    position = a_position(liquidation_price=75, liquidation_price_origin=PriceOrigin.VENUE)
    readings = judge(a_snapshot(position), "liquidation_distance", where=where, warning="15%")
    assert bool(readings) == matches

"""The volatility_leverage rule: what a day moves over the equity, what of it is unknown, and its exact remedies."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, Side
from monitor.domain.market import Markets, MarketState
from monitor.domain.reading import Need, Reading, Scope, Severity, Verdict
from monitor.domain.study import NoStudy, Study
from monitor.risk.volatility import SIGMA_FLOOR
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, an_instrument
from tests.studies import a_study

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def moving(sigma: float, fast: float | None = None) -> Study:
    """Its sigma and no returns: of two such coins nothing is known."""
    return Study(fast_sigma=sigma if fast is None else fast, slow_sigma=sigma, atr=1.0, returns={})


def market(**studies: Study) -> Markets:
    found: dict[str, MarketState] = {}
    for coin, study in studies.items():
        found |= a_market(f"{coin}/USDT:USDT", study=study)
    return found


def judge(snapshot: AccountSnapshot, markets: Markets, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("volatility_leverage", **{"warning": "8%", "critical": "12%", **keys})
    assert rule.needs == {Need.CANDLES}
    return evaluate_rules({"volatility_leverage": rule}, Context(snapshot=snapshot, markets=markets, now=NOON))


@pytest.mark.parametrize(
    ("contracts", "study", "value", "verdict", "severity"),
    [
        (20.0, moving(0.02), 0.04, Verdict.CLEAR, None),
        (20.0, moving(0.02, fast=0.0375), 0.075, Verdict.HOLD, Severity.WARNING),
        (20.0, moving(0.02, fast=0.05), 0.10, Verdict.BREACH, Severity.WARNING),
        (20.0, moving(0.06, fast=0.01), 0.12, Verdict.BREACH, Severity.CRITICAL),
        # Calm is no promise.
        (70.0, moving(0.0001), 0.07, Verdict.CLEAR, None),
    ],
)
def test_turbulence_counts_at_once_and_calm_once_it_has_lasted(
    contracts: float, study: Study, value: float, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge(a_snapshot(a_position(contracts=contracts), equity=1000.0), market(BTC=study))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(value)
    assert (reading.key.scope, reading.key.subject) == (Scope.ACCOUNT, "main")
    assert reading.inputs["leverage"] == pytest.approx(contracts / 10)
    assert reading.inputs["leverage_cap"] == pytest.approx(0.08 / max(study.sigma, SIGMA_FLOOR))


@pytest.mark.parametrize(("side", "value"), [(Side.LONG, 0.08), (Side.SHORT, 0.0)])
def test_coins_that_move_as_one_add_up_or_hedge_each_other(side: Side, value: float) -> None:
    study = a_study([0.02, -0.02] * 40)
    positions = (a_position(contracts=20), a_position(symbol=ETH, side=side, contracts=20))
    (reading,) = judge(a_snapshot(*positions, equity=1000.0), market(BTC=study, ETH=study))
    assert reading.value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("side", list(Side))
def test_what_is_not_known_of_two_coins_hedges_nothing(side: Side) -> None:
    positions = (a_position(contracts=20), a_position(symbol=ETH, side=side, contracts=20))
    (reading,) = judge(a_snapshot(*positions, equity=1000.0), market(BTC=moving(0.02), ETH=moving(0.03)))
    assert reading.value == pytest.approx(0.1)


def test_both_legs_on_one_coin_are_one_exposure_and_one_study_serves_both() -> None:
    legs = (a_position(contracts=20), a_position(symbol="BTC/USDC:USDC", side=Side.SHORT, contracts=15))
    snapshot = a_snapshot(*legs, equity=500.0)
    (reading,) = judge(snapshot, market(BTC=moving(0.02)))
    assert reading.value == pytest.approx((2000 - 1500) * 0.02 / 1000)


def test_a_hard_cap_holds_in_calm() -> None:
    snapshot = a_snapshot(a_position(contracts=50), equity=1000.0)
    calm = market(BTC=moving(0.012))
    (without,), (reading,) = judge(snapshot, calm), judge(snapshot, calm, hard_cap="5x")
    assert without.verdict is Verdict.CLEAR
    assert without.inputs["leverage_cap"] == pytest.approx(0.08 / 0.012)
    assert reading.severity is Severity.WARNING
    assert reading.inputs["leverage_cap"] == pytest.approx(5.0)
    storm = market(BTC=moving(0.04))
    assert [r.value for r in judge(snapshot, storm, hard_cap="5x")] == [r.value for r in judge(snapshot, storm)]


@pytest.mark.parametrize(
    ("markets", "why"),
    [
        ({}, "BTC/USDT:USDT: its candles were not asked for"),
        (
            {BTC: MarketState(instrument=an_instrument(), no_study=NoStudy("too young"))},
            "BTC/USDT:USDT: too young",
        ),
        (
            a_market(study=moving(0.02), observed_at=NOON - timedelta(minutes=16)),
            "BTC/USDT:USDT: its candles are not read any more",
        ),
    ],
)
def test_without_a_study_that_is_fresh_it_is_unknown_and_says_why(markets: Markets, why: str) -> None:
    (reading,) = judge(a_snapshot(a_position(), a_position(symbol=ETH)), {**market(ETH=moving(0.02)), **markets})
    assert reading.is_unknown
    assert reading.inputs["why"] == why


@pytest.mark.parametrize("side", list(Side))
def test_a_listing_too_young_to_tell_counts_as_the_wildest_other_and_hedges_nothing(side: Side) -> None:
    young = MarketState(instrument=an_instrument(ETH), no_study=NoStudy("too young", is_untold=True))
    positions = (a_position(contracts=20), a_position(symbol=ETH, side=side, contracts=10))
    (reading,) = judge(a_snapshot(*positions, equity=1000.0), {**market(BTC=moving(0.02)), ETH: young})
    assert reading.value == pytest.approx((2000 + 1000) * 0.02 / 1000)
    assert judge(a_snapshot(positions[1]), {ETH: young}) == ()


def test_a_failure_is_told_though_another_coin_is_on_its_way() -> None:
    coming = MarketState(instrument=an_instrument(), no_study=NoStudy("is being read", is_pending=True))
    failed = MarketState(instrument=an_instrument(ETH), no_study=NoStudy("could not be read"))
    (reading,) = judge(a_snapshot(a_position(), a_position(symbol=ETH)), {BTC: coming, ETH: failed})
    assert reading.inputs == {"why": f"{ETH}: could not be read"}


def test_equity_that_is_not_told_makes_it_unknown() -> None:
    (reading,) = judge(a_snapshot(a_position(), equity=None), market(BTC=moving(0.02)))
    assert reading.is_unknown
    assert reading.inputs["why"] == "the equity of cross:USDT is not known"


def test_a_venue_that_tells_no_candles_is_not_judged() -> None:
    untold = {BTC: MarketState(instrument=an_instrument(), no_study=NoStudy("not read", is_untold=True))}
    assert judge(a_snapshot(a_position()), untold) == ()


def test_a_flat_account_is_clear_and_one_whose_equity_is_gone_is_not() -> None:
    (flat,) = judge(a_snapshot(equity=0.0), {})
    assert (flat.verdict, flat.value) == (Verdict.CLEAR, 0.0)
    (gone,) = judge(a_snapshot(a_position(), equity=-1.0), market(BTC=moving(0.02)))
    assert (gone.severity, gone.value) == (Severity.CRITICAL, None)


def test_a_filter_picks_the_positions_that_count() -> None:
    snapshot = a_snapshot(a_position(contracts=10), a_position(symbol=ETH, contracts=10), equity=1000.0)
    markets = market(BTC=moving(0.02), ETH=moving(0.05))
    (reading,) = judge(snapshot, markets, where={"symbol": "BTC/*"})
    assert reading.value == pytest.approx(0.02)
    assert judge(a_snapshot(a_position(symbol=ETH)), markets, where={"symbol": "BTC/*"}) == ()


COINS = ("BTC", "ETH", "SOL")
HISTORIES: Mapping[str, Study] = {
    "BTC": a_study([0.02, -0.03, 0.01, 0.0] * 20),
    "ETH": a_study([0.03, -0.05, 0.02, -0.01] * 20),
    "SOL": a_study([-0.04, 0.06, 0.01, 0.02] * 20),
}


@given(
    st.lists(st.tuples(st.floats(0.1, 500.0), st.sampled_from(list(Side))), min_size=3, max_size=3),
    st.floats(10.0, 2000.0),
)
def test_either_remedy_brings_the_account_back_and_is_no_more_than_needed(
    legs: list[tuple[float, Side]], equity: float
) -> None:
    def account(scale: float = 1.0, more: float = 0.0) -> AccountSnapshot:
        positions = [
            a_position(symbol=f"{coin}/USDT:USDT", contracts=contracts * scale, side=side)
            for coin, (contracts, side) in zip(COINS, legs, strict=True)
        ]
        return a_snapshot(*positions, equity=equity + more)

    (reading,) = judge(account(), market(**HISTORIES))
    if reading.verdict is not Verdict.BREACH:
        return
    added, share = reading.inputs["add_collateral"], reading.inputs["cut_share"]
    assert isinstance(added, float)
    assert isinstance(share, float)
    for part, enough in ((1.0, True), (0.99, False)):
        for after in (account(more=added * part), account(scale=1 - share * part)):
            assert (judge(after, market(**HISTORIES))[0].verdict is Verdict.CLEAR) is enough


def test_the_size_to_cut_is_told_of_a_single_position() -> None:
    (reading,) = judge(a_snapshot(a_position(contracts=50), equity=1000.0), market(BTC=moving(0.03)))
    size = reading.inputs["cut_size"]
    assert isinstance(size, float)
    (after,) = judge(a_snapshot(a_position(contracts=50 - size), equity=1000.0), market(BTC=moving(0.03)))
    assert after.verdict is Verdict.CLEAR

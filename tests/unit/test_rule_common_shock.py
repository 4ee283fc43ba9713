"""The common shock of a margin pool: which pools it is judged of, what it says, and that its remedies are enough and no
more."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, Collateral, MarginMode, Position, Side
from monitor.domain.market import Markets
from monitor.domain.reading import AlertKey, Reading, Scope, Severity, Verdict
from monitor.notify.message import render
from monitor.risk.remedy import with_collateral, with_cut
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot, an_instrument
from tests.outbox import a_row, facts
from tests.unit.test_shock import a_mixed_pool

SOL, DOGE, ETH = "SOL/USDT:USDT", "DOGE/USDT:USDT", "ETH/USDT:USDT"


def judge(snapshot: AccountSnapshot, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("common_shock", **{"warning": "15%", "critical": "8%", **keys})
    return evaluate_rules({"common_shock": rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


def alts(side: Side = Side.LONG) -> tuple[Position, ...]:
    """Two of 1,000 each, without maintenance margin: 2,000 * 2.5 * x is what a fall of x costs."""
    return tuple(
        a_position(symbol=symbol, side=side, contracts=10, rate=1e-9, margin_mode=MarginMode.CROSS)
        for symbol in (SOL, DOGE)
    )


@pytest.mark.parametrize(
    ("equity", "value", "verdict", "severity"),
    [
        (900.0, 0.18, Verdict.CLEAR, None),
        (800.0, 0.16, Verdict.HOLD, Severity.WARNING),
        (750.0, 0.15, Verdict.BREACH, Severity.WARNING),
        (300.0, 0.06, Verdict.BREACH, Severity.CRITICAL),
        (0.0, 0.0, Verdict.BREACH, Severity.CRITICAL),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_the_move_of_btc_that_liquidates_the_pool_is_judged(
    side: Side, equity: float, value: float, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge(a_snapshot(*alts(side), equity=equity))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(value, abs=1e-5)
    assert (reading.key.scope, reading.key.subject) == (Scope.POOL, "cross:USDT")
    if equity:
        assert reading.inputs["btc_fall" if side is Side.LONG else "btc_rise"] == pytest.approx(
            -side.sign * value, abs=1e-5
        )


def test_a_pool_that_no_move_liquidates_is_clear() -> None:
    (reading,) = judge(a_snapshot(*alts(), equity=2_001.0))
    assert (reading.verdict, reading.value) == (Verdict.CLEAR, None)
    assert (reading.inputs["btc_fall"], reading.inputs["btc_rise"]) == (None, None)


def test_a_pool_of_one_instrument_is_left_to_its_liquidation_price() -> None:
    long, short = a_position(contracts=10), a_position(contracts=3, side=Side.SHORT)
    assert judge(a_snapshot(long, short, equity=10.0)) == ()
    assert judge(a_snapshot(equity=10.0)) == ()


def test_two_contracts_on_one_coin_are_judged_since_neither_liquidation_price_moves_both() -> None:
    other = a_position(symbol="BTC/USDC:USDC", contracts=10, pool="cross:USDT")
    (reading,) = judge(a_snapshot(a_position(contracts=10), other, equity=108.0))
    assert reading.value == pytest.approx(0.05, abs=1e-3)


def test_a_filter_picks_the_pools_that_hold_such_a_position_and_judges_them_whole() -> None:
    snapshot = a_snapshot(*alts(), equity=300.0)
    (reading,) = judge(snapshot, where={"symbol": "DOGE/*"})
    assert reading.value == pytest.approx(0.06, abs=1e-5)
    assert judge(snapshot, where={"symbol": "ETH/*"}) == ()
    assert judge(snapshot, where={"account": "other"}) == ()


@pytest.mark.parametrize(
    "snapshot",
    [
        a_snapshot(*alts(), equity=None),
        a_snapshot(alts()[0], a_position(symbol=DOGE, maintenance_margin=None)),
    ],
    ids=["equity", "maintenance"],
)
def test_what_is_not_known_makes_it_unknown(snapshot: AccountSnapshot) -> None:
    (reading,) = judge(snapshot)
    assert reading.is_unknown
    assert "is not known" in str(reading.inputs["why"])


@pytest.mark.parametrize(("currency", "still"), [("USDT", False), ("USD", True)])
def test_a_pool_of_several_coins_says_that_their_worth_is_held_still(currency: str, still: bool) -> None:
    snapshot = a_snapshot(*alts(), equity=300.0)
    (balance,) = snapshot.margins
    (reading,) = judge(replace(snapshot, margins=(replace(balance, currency=currency),)))
    assert reading.inputs["holds_coins_still"] is still


def on_coins(*positions: Position, btc: float, counts: float = 1.0) -> AccountSnapshot:
    """1,000 in a pool of dollars, of which so much is Bitcoin of which that share counts."""
    snapshot = a_snapshot(*(replace(position, pool="cross:USD") for position in positions))
    (balance,) = snapshot.margins
    held = (("USDT", 1.0, 1_000 - btc), ("BTC", 100.0, btc / counts / 100))
    return replace(
        snapshot,
        margins=(replace(balance, currency="USD"),),
        collateral=tuple(Collateral(coin=coin, price=price, amount=amount) for coin, price, amount in held),
    )


@pytest.mark.parametrize(
    ("side", "contracts", "btc", "fall", "rise"),
    [
        (Side.LONG, 40.0, 1_000.0, -0.2, None),
        (Side.LONG, 40.0, 0.0, None, None),
        (Side.LONG, 40.0, 1.0, None, None),
        (Side.SHORT, 10.0, 1_000.0, None, None),
        (Side.SHORT, 20.0, 500.0, None, 1_000 / 1_500),
    ],
    ids=["falls with it", "in dollars", "next to nothing", "hedged by it", "hedged in part"],
)
def test_coins_held_as_collateral_move_with_the_market(
    side: Side, contracts: float, btc: float, fall: float | None, rise: float | None
) -> None:
    """The liquidation price of the lone position holds them still."""
    found = judge(on_coins(a_position(side=side, contracts=contracts, rate=1e-9), btc=btc))
    if btc < 10:
        assert found == ()
        return
    (reading,) = found
    assert (reading.inputs["btc_fall"], reading.inputs["btc_rise"]) == pytest.approx((fall, rise), abs=1e-5)
    assert reading.inputs["holds_coins_still"] is False


@pytest.mark.parametrize("counts", [1.0, 0.5])
def test_a_coin_that_loses_with_the_positions_is_named_among_them_and_the_remedy_clears_it(counts: float) -> None:
    snapshot = on_coins(a_position(contracts=90.0, rate=1e-9), btc=1_000.0, counts=counts)
    (reading,) = judge(snapshot)
    inputs = reading.inputs
    assert reading.value == pytest.approx(0.1, abs=1e-5)
    assert [inputs[f"loser_{rank}"] for rank in (1, 2)] == ["BTC/USDT:USDT long", "BTC held"]
    assert inputs["loss_2"] == pytest.approx(100.0, abs=0.1)
    assert "loses most there: BTC/USDT:USDT long -900 USD, BTC held -100 USD" in message_of(reading)
    needed = inputs["add_collateral"]
    assert isinstance(needed, float)
    assert judge(with_collateral(snapshot, "cross:USD", needed))[0].verdict is Verdict.CLEAR
    assert judge(with_collateral(snapshot, "cross:USD", 0.99 * needed))[0].verdict is not Verdict.CLEAR


def test_no_cut_is_advised_where_it_is_not_known_that_margin_is_shared() -> None:
    unknown = tuple(replace(position, margin_mode=None) for position in alts())
    (reading,) = judge(a_snapshot(*unknown, equity=300.0))
    assert "add_collateral" in reading.inputs
    assert "cut_share" not in reading.inputs


def message_of(reading: Reading) -> list[str]:
    assert reading.severity is not None
    told = facts(rule_kind="common_shock", value=reading.value, threshold=reading.threshold, inputs=reading.inputs)
    key = AlertKey("common_shock", "main", Scope.POOL, reading.key.subject)
    rendered = render([a_row(key=key, severity=reading.severity, facts=told)], NOON, 3_500)
    return [rendered.title, *rendered.body.splitlines()]


def test_the_message_names_the_move_who_loses_most_and_what_to_do() -> None:
    hedge = a_position(symbol=ETH, side=Side.SHORT, contracts=2, rate=1e-9, margin_mode=MarginMode.CROSS)
    (reading,) = judge(a_snapshot(*alts(), hedge, equity=300.0))
    assert message_of(reading) == [
        "CRITICAL main: cross USDT pool gone at BTC -6.25%",
        "BTC is 6.25% from liquidating it (critical at 8%)",
        "since 12:00 UTC",
        "loses most there: DOGE/USDT:USDT long -156 USDT, SOL/USDT:USDT long -156 USDT",
        "other coins counted to lose at least 2.5 times what BTC moves, or to gain at most as much",
        "Do: add 493 USDT, or cut all 3 positions by 63%",
    ]


def test_a_pool_that_dies_either_way_says_both() -> None:
    short = a_position(symbol=ETH, side=Side.SHORT, contracts=10, rate=1e-9, margin_mode=MarginMode.CROSS)
    (reading,) = judge(a_snapshot(alts()[0], short, equity=75.0))
    assert "gone at BTC -5% or +5% · since 12:00 UTC" in message_of(reading)


def test_a_pool_that_is_liquidatable_today_says_so() -> None:
    (reading,) = judge(a_snapshot(*alts(), equity=0.0))
    assert message_of(reading)[0] == "CRITICAL main: cross USDT pool is at its liquidation"


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_either_remedy_brings_a_pool_back_and_is_no_more_than_needed(seed: int) -> None:
    apart, markets = a_mixed_pool(Random(seed))
    cross = tuple(replace(position, margin_mode=MarginMode.CROSS) for position in apart.positions)
    snapshot = replace(apart, positions=cross)
    for reading in judge(snapshot, markets):
        added, share = reading.inputs.get("add_collateral"), reading.inputs.get("cut_share")
        if isinstance(added, float):
            verdicts = [judge(with_collateral(snapshot, "cross:USD", added * part), markets) for part in (1, 0.99)]
            assert [reading.verdict is Verdict.CLEAR for (reading,) in verdicts] == [True, False]
        if isinstance(share, float):
            cuts = [with_cut(snapshot, {p.subject: share * part for p in cross}, markets) for part in (1, 0.99)]
            left = [judge(cut, markets) for cut in cuts]
            assert [all(reading.verdict is Verdict.CLEAR for reading in readings) for readings in left] == [True, False]
        if reading.verdict is not Verdict.BREACH:
            assert added is share is None


def test_nearly_every_pool_in_danger_is_offered_both_remedies() -> None:
    """Where maintenance jumps between the moves that are tried, none may be found."""
    offered: list[tuple[bool, bool]] = []
    for seed in range(200):
        apart, markets = a_mixed_pool(Random(seed))
        cross = tuple(replace(position, margin_mode=MarginMode.CROSS) for position in apart.positions)
        for reading in judge(replace(apart, positions=cross), markets):
            if reading.verdict is Verdict.BREACH:
                offered.append(("add_collateral" in reading.inputs, "cut_share" in reading.inputs))
    assert len(offered) > 80
    assert sum(all(both) for both in offered) >= 0.97 * len(offered)


def test_an_isolated_pool_is_left_to_its_liquidation_price() -> None:
    pool = an_instrument(SOL).isolated_pool(Side.LONG)
    position = a_position(symbol=SOL, contracts=10, pool=pool, margin_mode=MarginMode.ISOLATED)
    assert judge(a_snapshot(position, equity=10.0)) == ()

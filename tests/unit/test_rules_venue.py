"""adl_rank and tier_cliff: what the venue may do to a position by its own rules."""

from dataclasses import replace
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, Side
from monitor.domain.alert import Resolution
from monitor.domain.market import Markets, Tier, Tiers
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.risk.remedy import with_cut
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, flat_tiers
from tests.unit.pipeline_kit import Desk, a_plan, desk

__all__ = ["desk"]

BREACH, HOLD, CLEAR = Verdict.BREACH, Verdict.HOLD, Verdict.CLEAR
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
LEVELS = {"adl_rank": {"warning": "4", "critical": "5"}, "tier_cliff": {"warning": "5%"}}
# Amounts keep maintenance continuous at 50,000; from 600,000 on the higher rate holds for the whole position.
TIERS: Tiers = (Tier(0, 50_000, 0.004, 0), Tier(50_000, 600_000, 0.005, 50), Tier(600_000, 1e9, 0.01, 50))


def judge(kind: str, snapshot: AccountSnapshot, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule(kind, **{**LEVELS[kind], **keys})
    return evaluate_rules({kind: rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


# --- adl_rank ---


@pytest.mark.parametrize(
    ("rank", "alone", "hedged"),
    [(1, None, None), (3, None, None), (4, WARNING, CRITICAL), (5, CRITICAL, CRITICAL)],
)
@pytest.mark.parametrize("other", [None, "BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USDT:USDT"])
def test_a_hedge_in_the_queue_is_critical_one_rank_earlier(
    rank: int, alone: Severity | None, hedged: Severity | None, other: str | None
) -> None:
    positions = [a_position(adl_rank=rank)]
    if other is not None:
        positions.append(a_position(symbol=other, side=Side.SHORT))
    (reading,) = judge("adl_rank", a_snapshot(*positions))
    is_hedged = other is not None and other.startswith("BTC")
    assert reading.severity is (hedged if is_hedged else alone)
    assert (reading.value, reading.key.scope) == (rank, Scope.POSITION)
    assert reading.inputs["other_side"] == (f"{other} short" if is_hedged else None)


def test_the_same_side_of_another_contract_is_no_hedge() -> None:
    (reading,) = judge("adl_rank", a_snapshot(a_position(adl_rank=4), a_position(symbol="BTC/USDC:USDC")))
    assert reading.severity is WARNING


def test_a_hedge_of_which_its_owner_wants_warnings_alone_makes_no_critical_alert() -> None:
    positions = (a_position(adl_rank=5), a_position(side=Side.SHORT))
    rule = {"adl_rank": a_rule("adl_rank", warning="4")}
    (reading,) = evaluate_rules(rule, Context(snapshot=a_snapshot(*positions), markets={}, now=NOON))
    assert reading.severity is WARNING


def test_a_rank_that_no_venue_tells_is_no_reading() -> None:
    assert judge("adl_rank", a_snapshot(a_position())) == ()


@pytest.mark.parametrize("written", ["0", "6", "4.5", "50%", "4x", ""])
def test_only_ranks_are_taken_for_ranks(written: str) -> None:
    with pytest.raises(ValueError, match="expected a rank from 1 to 5"):
        a_rule("adl_rank", warning=written)


async def test_a_rank_that_is_not_told_any_more_ends_its_alert_in_those_words(desk: Desk) -> None:
    desk.plan = a_plan({"adl_rank": a_rule("adl_rank", **LEVELS["adl_rank"])})
    await desk.see(a_snapshot(a_position(adl_rank=5)))
    await desk.see(a_snapshot(a_position()))
    assert desk.alert("adl_rank").is_firing, "one read without it may be chance"
    await desk.see(a_snapshot(a_position()))
    assert desk.alert("adl_rank").resolution is Resolution.UNTOLD


# --- tier_cliff ---


@pytest.mark.parametrize(
    ("notional", "value", "verdict"),
    [
        (40_000, 0.25, CLEAR),
        (47_500, 50_000 / 47_500 - 1, HOLD),
        (48_000, 50_000 / 48_000 - 1, BREACH),
        (50_000, 0.0, BREACH),
        (50_001, 600_000 / 50_001 - 1, CLEAR),
        (590_000, 600_000 / 590_000 - 1, BREACH),
        (700_000, None, CLEAR),
    ],
)
def test_room_to_the_next_bracket_is_a_warning_below_five_percent(
    notional: float, value: float | None, verdict: Verdict
) -> None:
    position = a_position(contracts=notional / 100, mark_price=100)
    (reading,) = judge("tier_cliff", a_snapshot(position), a_market(tiers=TIERS))
    assert reading.value == (None if value is None else pytest.approx(value))
    assert (reading.verdict, reading.severity) == (verdict, None if verdict is CLEAR else WARNING)


@pytest.mark.parametrize(
    ("notional", "rates", "at_edge", "beyond"),
    [(49_000, (0.004, 0.005), 200, 200), (590_000, (0.005, 0.01), 2950, 5950)],
)
def test_what_crossing_costs_in_maintenance_is_told(
    notional: float, rates: tuple[float, float], at_edge: float, beyond: float
) -> None:
    position = a_position(contracts=notional / 100, mark_price=100)
    (reading,) = judge("tier_cliff", a_snapshot(position), a_market(tiers=TIERS))
    told = reading.inputs
    assert (told["rate"], told["next_rate"]) == rates
    assert (told["maintenance_at_edge"], told["maintenance_beyond"]) == pytest.approx((at_edge, beyond))


@pytest.mark.parametrize(("symbol", "contracts"), [("BTC/USDT:USDT", 490.0), ("BTC/USD:BTC", 49_000.0)])
def test_the_mark_at_which_the_position_grows_past_the_edge_is_told(symbol: str, contracts: float) -> None:
    """A notional of 49,000 in the coin of settlement, an edge at 50,000."""
    position = a_position(symbol=symbol, contracts=contracts, mark_price=100)
    (reading,) = judge("tier_cliff", a_snapshot(position), a_market(symbol, tiers=TIERS))
    price = reading.inputs["edge_price"]
    assert isinstance(price, float)
    assert position.instrument.notional(contracts, price) == pytest.approx(50_000)


def test_an_edge_behind_which_nothing_more_is_asked_is_no_cliff() -> None:
    tiers = (Tier(0, 50_000, 0.004, 0), Tier(50_000, 60_000, 0.004, 0), Tier(60_000, 1e9, 0.005, 60))
    position = a_position(contracts=490, mark_price=100)
    (reading,) = judge("tier_cliff", a_snapshot(position), a_market(tiers=tiers))
    assert reading.inputs["edge"] == 60_000
    (reading,) = judge("tier_cliff", a_snapshot(position), a_market(tiers=flat_tiers(0.004)))
    assert (reading.verdict, reading.value) == (CLEAR, None)


def test_without_brackets_there_is_no_reading() -> None:
    assert judge("tier_cliff", a_snapshot(a_position())) == ()


@pytest.mark.parametrize("notional", [47_700, 49_000, 49_999.9, 50_000, 580_000, 600_000])
def test_the_cut_makes_room_enough_and_is_no_more_than_needed(notional: float) -> None:
    position, markets = a_position(contracts=notional / 100, mark_price=100), a_market(tiers=TIERS)
    (reading,) = judge("tier_cliff", a_snapshot(position), markets)
    share = reading.inputs["cut_share"]
    assert isinstance(share, float)
    for part, verdict in ((share, CLEAR), (share * 0.99, HOLD)):
        (after,) = judge("tier_cliff", with_cut(a_snapshot(position), {position.subject: part}, markets), markets)
        assert after.verdict is verdict


def test_a_cut_that_would_land_before_the_edge_below_is_not_offered() -> None:
    tiers = (Tier(0, 50_000, 0.004, 0), Tier(50_000, 52_000, 0.005, 50), Tier(52_000, 1e9, 0.01, 310))
    (reading,) = judge("tier_cliff", a_snapshot(a_position(contracts=515, mark_price=100)), a_market(tiers=tiers))
    assert reading.verdict is BREACH
    assert "cut_share" not in reading.inputs


@pytest.mark.parametrize("kind", LEVELS)
def test_a_filter_picks_the_positions_that_count(kind: str) -> None:
    snapshot = a_snapshot(*(replace(a_position(side=side), adl_rank=3) for side in Side))
    readings = judge(kind, snapshot, a_market(tiers=TIERS), where={"side": "short"})
    assert [reading.key.subject for reading in readings] == ["BTC/USDT:USDT short"]
    assert judge(kind, snapshot, a_market(tiers=TIERS), where={"venue": "bybit"}) == ()

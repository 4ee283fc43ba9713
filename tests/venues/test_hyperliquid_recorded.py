"""Replies of Hyperliquid as they were recorded, read to its own figures, with our own solve beside its prices."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Instrument, PriceOrigin, Side
from monitor.domain.market import MarketState, Observed
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.hyperliquid import VENUE, tiers_of
from monitor.exchange.venues.hyperliquid_account import STANDARD
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.risk.estimate import completed
from tests.builders import SHARED, needs_shared

pytestmark = needs_shared
NOW = datetime(2025, 10, 30, 6, 20, tzinfo=UTC)
ALONE = AccountSettings(mode=STANDARD)


def an_instrument(coin: str, settle: str = "USDC") -> Instrument:
    symbol = f"{coin.replace(':', '-').upper()}/{settle}:{settle}"
    base = coin.rpartition(":")[2]
    return Instrument(
        venue="hyperliquid", symbol=symbol, base=base, quote=settle, settle=settle, contract_size=1.0, inverse=False
    )


def recorded(method: str, description: str) -> Any:
    cases = json.loads((SHARED / "fixtures" / "hyperliquid.json").read_text())["methods"][method]
    return next(case for case in cases if case["description"] == description)


def read(state: Mapping[str, Any], *coins: str) -> AccountReading:
    listed = {coin: an_instrument(coin) for coin in coins}
    return VENUE.parse_account(({"": state}, {"balances": []}), listed, ALONE)


def with_our_solve(reading: AccountReading, **leverages: float) -> AccountSnapshot:
    """With prices of our own in the place of the venue's."""
    positions = tuple(
        replace(p, liquidation_price=None, liquidation_price_origin=PriceOrigin.UNKNOWN) for p in reading.positions
    )
    snapshot = AccountSnapshot(
        account="main", venue="hyperliquid", observed_at=NOW, margins=reading.margins, positions=positions
    )
    markets = {
        p.instrument.symbol: MarketState(
            instrument=p.instrument, tiers=Observed(tiers_of([(0.0, leverages[p.instrument.base])]), NOW)
        )
        for p in positions
    }
    return completed(snapshot, markets)


def test_recorded_longs_that_nothing_liquidates_are_read_to_the_venues_own_figures() -> None:
    reading = read(recorded("fetchPositions", "cross longs, liquidationPx null")["httpResponse"], "SOL", "ETH")
    sol, eth = reading.positions
    (pool,) = reading.margins
    assert (pool.pool, pool.equity, pool.maintenance_margin, pool.initial_margin, pool.available) == (
        "cross:USDC",
        19762.483455,
        141.579994,
        707.89997,
        19047.685485,
    )
    assert [sol.mark_price, eth.mark_price] == pytest.approx([138.91, 3803.9])
    assert (sol.notional, sol.initial_margin) == (463.9594, 23.19797)
    assert (eth.entry_price, eth.unrealized_pnl) == (1100, 9734.04)
    solved = with_our_solve(reading, SOL=50, ETH=50)
    assert [p.liquidation_price_origin for p in solved.positions] == [PriceOrigin.NONE, PriceOrigin.NONE]
    owed = sum(p.maintenance_margin or 0.0 for p in solved.positions)
    assert owed == pytest.approx(pool.maintenance_margin), "half of the initial margin at the greatest leverage"


@pytest.mark.parametrize(
    ("description", "coins", "leverages"),
    [
        ("cross short, liquidationPx far away", ("SOL", "ETH"), {"SOL": 50, "ETH": 50}),
        ("isolated short losing (percentage sign wrong)", ("HYPE",), {"HYPE": 10}),
    ],
)
def test_a_recorded_liquidation_price_is_what_our_own_solve_finds(
    description: str, coins: Sequence[str], leverages: dict[str, float]
) -> None:
    reading = read(recorded("fetchPositions", description)["httpResponse"], *coins)
    told = reading.positions[0]
    assert told.liquidation_price_origin is PriceOrigin.VENUE
    ours = with_our_solve(reading, **leverages).positions[0]
    assert ours.liquidation_price == pytest.approx(told.liquidation_price, rel=1e-9)
    assert ours.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE


def test_a_recorded_isolated_position_is_a_pool_of_its_own() -> None:
    reply = recorded("fetchPositions", "isolated short losing (percentage sign wrong)")["httpResponse"]
    reading = read(reply, "HYPE")
    (position,) = reading.positions
    cross, apart = reading.margins
    assert (cross.equity, cross.initial_margin, cross.maintenance_margin) == (57.6421, 0, 0)
    assert (apart.pool, apart.equity) == ("isolated:HYPE/USDC:USDC:short", 18.564417)
    assert (position.side, position.size, position.mark_price, position.leverage) == (Side.SHORT, 4, 48.145, 10)
    assert position.initial_margin == pytest.approx(19.258)
    assert [estimate.figure for estimate in position.estimates] == ["initial_margin"]
    assert reading.margin_in_use == 18.564417


def test_a_recorded_position_of_a_dex_is_named_by_it_and_margined_in_its_token() -> None:
    row = recorded("fetchPositions", "HIP-3 isolated long (position object only seen)")["rawPosition"]
    zero = {"accountValue": "0.0", "totalNtlPos": "0.0", "totalRawUsd": "0.0", "totalMarginUsed": "0.0"}
    state = {
        "marginSummary": {**zero, "totalNtlPos": "10.41482", "totalMarginUsed": "3.459702"},
        "crossMarginSummary": zero,
        "crossMaintenanceMarginUsed": "0.0",
        "withdrawable": "0.0",
        "assetPositions": [row],
    }
    listed = {"flx:CRCL": an_instrument("flx:CRCL", "USDH")}
    reading = VENUE.parse_account(({"flx": state}, {"balances": []}), listed, ALONE)
    (position,) = reading.positions
    assert (position.instrument.symbol, position.pool) == (
        "FLX-CRCL/USDH:USDH",
        "isolated:FLX-CRCL/USDH:USDH:long",
    )
    assert position.liquidation_price == 64.2010892308
    assert position.mark_price == pytest.approx(80.114)
    assert [(m.equity, m.currency) for m in reading.margins if m.pool == position.pool] == [(3.459702, "USDH")]


def test_a_recorded_flat_account_has_its_money() -> None:
    (pool,) = read(recorded("fetchBalance", "swap balance")["httpResponse"], "BTC").margins
    assert (pool.equity, pool.available, pool.maintenance_margin) == (20.454862, 19.954862, 0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda state: state["assetPositions"].pop(), FailureKind.IMPLAUSIBLE),
        (lambda state: state["assetPositions"].clear(), FailureKind.IMPLAUSIBLE),
        (lambda state: state["assetPositions"].append(state["assetPositions"][0]), FailureKind.IMPLAUSIBLE),
        (lambda state: state["assetPositions"][0].update(type="hedge"), FailureKind.UNSUPPORTED),
        (lambda state: state["assetPositions"][0]["position"].pop("liquidationPx"), FailureKind.MALFORMED),
        (lambda state: state["assetPositions"][0]["position"]["leverage"].update(type="odd"), FailureKind.MALFORMED),
        (lambda state: state["assetPositions"][0]["position"].update(coin="xyz:SOL"), FailureKind.MALFORMED),
        (lambda state: state["assetPositions"][0]["position"].update(szi=5e-324), FailureKind.MALFORMED),
        (lambda state: state.pop("crossMaintenanceMarginUsed"), FailureKind.MALFORMED),
    ],
    ids=["short", "empty", "twice", "hedge", "no price", "leverage", "other dex", "of nothing", "no maintenance"],
)
def test_an_account_that_cannot_be_is_a_failure(change: Any, kind: FailureKind) -> None:
    state = recorded("fetchPositions", "cross short, liquidationPx far away")["httpResponse"]
    change(state)
    with pytest.raises(ReadError) as failure:
        read(state, "SOL", "ETH")
    assert failure.value.kind is kind

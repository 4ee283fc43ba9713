"""Accounts of the paper exchange read over HTTP by the real ccxt classes: the figures are the engine's own truth."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import asyncio
from datetime import timedelta

import pytest

from monitor.domain.account import FailureKind, Position, PriceOrigin
from monitor.paper.book import PositionTruth
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.reading import ROUNDED, Open, clock, engine, exchanges, failed, good, open_account, server


def raw_symbol(position: Position) -> str:
    instrument = position.instrument
    return f"{instrument.base}{instrument.quote}{'_PERP' if instrument.inverse else ''}"


def assert_true(position: Position, truth: PositionTruth) -> None:
    """Field by field; the mark is sent to eight decimals, the amount as it is."""
    about = pytest.approx
    assert position.contracts == truth.contracts
    assert position.entry_price == about(truth.entry_price, abs=ROUNDED)
    assert position.mark_price == about(truth.mark_price, abs=ROUNDED)
    assert position.notional == about(truth.notional, abs=ROUNDED)
    assert position.maintenance_margin == about(truth.maintenance_margin, abs=ROUNDED)
    assert position.initial_margin == about(truth.initial_margin, abs=ROUNDED)
    assert position.unrealized_pnl == about(truth.unrealized_pnl, abs=ROUNDED)
    assert position.leverage == truth.leverage
    assert position.margin_mode == truth.margin_mode
    if truth.liquidation_price is None:
        assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.NONE)
    else:
        assert position.liquidation_price == about(truth.liquidation_price, abs=ROUNDED)
        assert position.liquidation_price_origin is PriceOrigin.VENUE


@pytest.mark.parametrize("venue", ["binanceusdm", "binancecoinm"])
@pytest.mark.parametrize("account", ["hedger", "single"])
async def test_every_position_and_pool_is_what_the_exchange_holds_true(
    account: str, venue: str, engine: Engine, open_account: Open
) -> None:
    snapshot = good(await open_account(account, venue).observe())
    inverse = venue == "binancecoinm"
    truths = {(p.symbol, p.side): p for p in engine.positions(account) if p.symbol.endswith("_PERP") is inverse}
    assert {(raw_symbol(p), p.side) for p in snapshot.positions} == truths.keys()
    for position in snapshot.positions:
        assert_true(position, truths[raw_symbol(position), position.side])
    settled = "BTC" if inverse else "USDT"
    pools = {pool.pool: pool for pool in engine.pools(account) if pool.asset == settled}
    assert len(snapshot.margins) == len(pools)
    for margin in snapshot.margins:
        pool = pools[margin.pool.replace("/", "").replace(":USDT:", ":")]
        assert margin.currency == pool.asset
        assert margin.equity == pytest.approx(pool.equity, abs=2 * ROUNDED)
        assert margin.maintenance_margin == pytest.approx(pool.maintenance_margin, abs=3 * ROUNDED)
        assert margin.initial_margin == pytest.approx(pool.initial_margin, abs=3 * ROUNDED)
    assert {p.pool for p in snapshot.positions} <= {m.pool for m in snapshot.margins}


async def test_an_isolated_position_is_a_pool_of_its_own(open_account: Open) -> None:
    snapshot = good(await open_account("hedger").observe())
    assert {m.pool for m in snapshot.margins} == {"cross:USDT", "isolated:ETH/USDT:USDT:long"}
    assert [p.instrument.symbol for p in snapshot.positions_in("isolated:ETH/USDT:USDT:long")] == ["ETH/USDT:USDT"]


async def test_market_data_tells_mark_funding_and_brackets_of_every_contract(open_account: Open) -> None:
    source = open_account("single")
    assert source.markets() == {}
    await source.observe()
    markets = source.markets()
    assert {symbol for symbol, state in markets.items() if state.mark_price is not None} == {
        "BTC/USDT:USDT",
        "ETH/USDT:USDT",
        "SOL/USDT:USDT",
    }
    ether = markets["ETH/USDT:USDT"]
    assert ether.mark_price is not None
    assert ether.mark_price.value == 4_000.25
    assert ether.funding is not None
    assert (ether.funding.value.rate, ether.funding.value.interval) == (-0.0002, timedelta(hours=4))
    assert ether.tiers is not None
    assert [(t.floor, t.rate, t.amount) for t in ether.tiers.value] == [
        (0, 0.004, 0),
        (50_000, 0.005, 50),
        (600_000, 0.0065, 950),
    ]


async def test_public_data_is_read_once_for_all_accounts_and_a_steady_cycle_is_two_calls(
    server: PaperServer, open_account: Open
) -> None:
    sources = [open_account("hedger"), open_account("single")]
    for source in sources:
        good(await source.observe())
    for path in ("exchangeInfo", "premiumIndex", "fundingInfo", "leverageBracket"):
        assert server.counts[f"/fapi/v1/{path}"] == 1
    before = server.counts.total()
    for source in sources:
        good(await source.observe())
    assert server.counts.total() - before == 4


async def test_concurrent_first_reads_share_one_market_list(server: PaperServer, open_account: Open) -> None:
    server.misbehave(Fault(kind=FaultKind.LATENCY, path="/fapi/v1/exchangeInfo", seconds=0.05))
    sources = [open_account("hedger"), open_account("single"), open_account("single")]
    for observation in await asyncio.gather(*(source.observe() for source in sources)):
        good(observation)
    assert server.counts["/fapi/v1/exchangeInfo"] == 1


async def test_a_reader_that_gives_up_does_not_cancel_the_market_list_for_the_others(
    server: PaperServer, open_account: Open
) -> None:
    server.misbehave(Fault(kind=FaultKind.LATENCY, path="/fapi/v1/exchangeInfo", seconds=0.1))
    patient, hasty = open_account("single"), open_account("hedger", read_deadline_s=0.02)
    first, second = await asyncio.gather(patient.observe(), hasty.observe())
    assert failed(second).kind is FailureKind.TIMEOUT
    good(first)
    assert server.counts["/fapi/v1/exchangeInfo"] == 1

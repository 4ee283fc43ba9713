"""Kraken Futures: the multi-collateral wallet in dollars, and the wallets of inverse contracts."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import MarginMode, Side
from monitor.exchange.venues.contracts import a_contract
from monitor.exchange.venues.figures import Figure
from monitor.exchange.venues.venue import Instruments
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialects.krakenfutures import ACCOUNTS, KRAKENFUTURES, POSITIONS, TICKERS, secret_of
from monitor.paper.engine import Engine
from tests.reading import ShiftedClock
from tests.venues.books import MARKS, Sizes, hold, inverse, linear
from tests.venues.kit import AccountCase, House, PoolTruth, VenueCase, a_house, book_of, per_currency
from tests.venues.mexc import whole_rate

SIZES: Sizes = {("*", "BTC"): 1.0, ("*", "ETH"): 1.0}
WALLETS = {"USD": 40_000.0, "BTC": 1.5, "ETH": 12.0}
OF_ISOLATED = frozenset({Figure.EQUITY, Figure.POOL_MAINTENANCE, Figure.POOL_INITIAL})


def _terms(contract: Contract) -> Contract:
    return replace(whole_rate(contract), funding_interval=timedelta(hours=1))


def usd_book(now: datetime) -> Engine:
    """`mixed` holds an isolated position beside two margined across, `across` none, `coin` inverse contracts, `both`
    of both kinds, and `flat` none."""
    engine = Engine(now)
    contracts = [linear(base, "USD", SIZES) for base in MARKS] + [inverse(base, SIZES) for base in ("BTC", "ETH")]
    for contract in contracts:
        engine.add_contract(_terms(contract))
    for name in ("mixed", "across", "coin", "both", "flat"):
        engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret")
        for asset, worth in WALLETS.items():
            engine.deposit(name, asset, worth)
    for name in ("mixed", "across"):
        hold(engine, name, "BTCUSD", Side.LONG, 0.7, 20)
        hold(engine, name, "ETHUSD", Side.SHORT, 3, 10)
    hold(engine, "mixed", "SOLUSD", Side.LONG, 40, 5, isolated=True)
    hold(engine, "coin", "BTCUSD_PERP", Side.SHORT, 30_000, 20)
    hold(engine, "coin", "ETHUSD_PERP", Side.LONG, 20_000, 5)
    hold(engine, "both", "BTCUSD", Side.SHORT, 0.3, 10)
    hold(engine, "both", "BTCUSD_PERP", Side.LONG, 40_000, 10)
    engine.set_marks({contract.symbol: MARKS[contract.base] for contract in contracts})
    return engine


def _pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    given = {}
    for truth in engine.positions(owner.name, with_liquidation_prices=False):
        contract = engine.market(truth.symbol).contract
        if truth.isolated_wallet is not None:
            given[f"isolated:{contract.base}/USD:USD:{truth.side}"] = truth.isolated_wallet
    pools = []
    for pool in per_currency(engine, owner, tuple(owner.wallets)):
        if pool.pool in given:
            pool = replace(pool, initial_margin=given[pool.pool], estimated=OF_ISOLATED)
        elif pool.currency == "USD" and given:
            pool = replace(pool, estimated=OF_ISOLATED | {Figure.AVAILABLE})
        pools.append(pool)
    return tuple(pools)


def _expected(truth: PositionTruth) -> Mapping[Figure, Any]:
    return {} if truth.margin_mode is MarginMode.ISOLATED else {Figure.LEVERAGE: None}


def _account(name: str) -> AccountCase:
    return AccountCase(account=name, name=name, pools=_pools, expected=_expected)


KRAKEN_CASE = VenueCase(
    venue="krakenfutures",
    dialect=KRAKENFUTURES,
    accounts=tuple(_account(name) for name in ("mixed", "across", "coin", "both")),
    reads=(ACCOUNTS, POSITIONS, TICKERS),
    book=usd_book,
    credentials=lambda account: {"apiKey": account.api_key, "secret": secret_of(account)},
)
MIXED, ACROSS, COINS, BOTH = KRAKEN_CASE.accounts

# Of replies written by hand.
AT = datetime(2026, 4, 19, 15, 28, tzinfo=UTC)
PERP = a_contract("krakenfutures", ("BTC", "USD", "USD"), 1.0, inverse=False)
COIN = a_contract("krakenfutures", ("BTC", "USD", "BTC"), 1.0, inverse=True)
DATED = a_contract("krakenfutures", ("BTC", "USD", "BTC"), 1.0, inverse=True, dated="-261225")
KNOWN: Instruments = {"PF_XBTUSD": PERP, "PI_XBTUSD": COIN, "FI_XBTUSD_261225": DATED}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = ShiftedClock()
    async with a_house(KRAKEN_CASE, clock, book_of(KRAKEN_CASE, clock.now())) as opened:
        yield opened

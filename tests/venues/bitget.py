"""Bitget: classic and unified accounts, each also with what is settled in another coin first."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from monitor.exchange.source import AccountSource
from monitor.exchange.venues.figures import Figure, unknown
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialects.bitget import BITGET, PASSPHRASE
from monitor.paper.dialects.bitget_account import worth
from monitor.paper.engine import Engine
from monitor.paper.unified import unified_liquidation_price
from tests.paper import START
from tests.reading import ShiftedClock
from tests.venues.books import Sizes, a_book
from tests.venues.kit import (
    AccountCase,
    House,
    PoolTruth,
    VenueCase,
    a_house,
    all_together,
    book_of,
    isolated_alone,
    per_currency,
)

SIZES: Sizes = {("*", "BTC"): 1.0, ("*", "ETH"): 1.0}
TAKER_FEE = 0.0006
STABLE = ("USDT", "USDC")
CLASSIC_POSITIONS, UNIFIED_POSITIONS = "/api/v2/mix/position/all-position", "/api/v3/position/current-position"
CLASSIC_ACCOUNTS = "/api/v2/mix/account/accounts"


def _credentials(account: Account) -> Mapping[str, str]:
    return {"apiKey": account.api_key, "secret": account.secret, "password": PASSPHRASE}


def _terms(contract: Contract) -> Contract:
    """Maintenance holds the fee of closing, but where contracts are settled in coin: it is not known of those."""
    return replace(contract, fee_rate=0.0 if contract.inverse else TAKER_FEE)


def _with_all_it_binds(engine: Engine, owner: Account, pools: tuple[PoolTruth, ...]) -> tuple[PoolTruth, ...]:
    """The initial margin of an isolated position is told as all its margin."""
    wallets = iter([p.wallet for p in engine.pools(owner.name) if p.pool.startswith("isolated:")])
    return tuple(replace(p, initial_margin=next(wallets)) if p.pool.startswith("isolated:") else p for p in pools)


def _classic_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    pools = _with_all_it_binds(engine, owner, per_currency(engine, owner, STABLE))
    return tuple(replace(p, venue_margin_ratio=p.maintenance_margin / p.equity) for p in pools)


def _unified_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    whole = all_together(engine, owner, {asset: worth(engine, asset) for asset in owner.wallets})
    isolated = _with_all_it_binds(engine, owner, isolated_alone(engine, owner))
    return (
        replace(whole, venue_margin_ratio=whole.maintenance_margin / whole.equity, available=None),
        *(replace(p, estimated=frozenset({Figure.POOL_MAINTENANCE})) for p in isolated),
    )


def _classic_told(truth: PositionTruth) -> Mapping[Figure, Any]:
    return {} if truth.isolated_wallet is None else {Figure.INITIAL: truth.isolated_wallet}


def _unified_told(truth: PositionTruth) -> Mapping[Figure, Any]:
    """Across, what it binds holds the fee of closing; contracts settled in coin have no rank.

    The book's figures are the same at any time.
    """
    if truth.isolated_wallet is not None:
        return {Figure.INITIAL: truth.isolated_wallet}
    engine = a_book(START, SIZES, _terms)
    price = unified_liquidation_price(engine, engine.account(truth.account), truth.symbol)
    if truth.symbol.endswith("_PERP"):
        return {Figure.LIQUIDATION_PRICE: price, Figure.ADL_RANK: None}
    return {Figure.LIQUIDATION_PRICE: price, Figure.INITIAL: truth.initial_margin + TAKER_FEE * truth.notional}


def _maintenance_where_isolated(truth: PositionTruth) -> frozenset[Figure]:
    return frozenset() if truth.isolated_wallet is None else frozenset({Figure.MAINTENANCE})


def _is_linear(symbol: str) -> bool:
    return not symbol.endswith("_PERP")


def _classic(account: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=account,
        pools=_classic_pools,
        shows=_is_linear,
        expected=_classic_told,
        exact=_maintenance_where_isolated,
    )


def _unified(account: str, *untold: Figure) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"unified-{account}",
        pools=_unified_pools,
        profile={"unified": True},
        expected=_unified_told,
        figures={figure: unknown("not told") for figure in (Figure.AVAILABLE, *untold)},
    )


def _case(*accounts: AccountCase, reads: tuple[str, ...]) -> VenueCase:
    return VenueCase(
        venue="bitget",
        dialect=BITGET,
        accounts=accounts,
        reads=reads,
        sizes=SIZES,
        credentials=_credentials,
        terms=_terms,
    )


CLASSIC = _case(
    _classic("mixed"),
    _classic("hedged"),
    reads=(f"{CLASSIC_POSITIONS} USDT-FUTURES", f"{CLASSIC_ACCOUNTS} USDT-FUTURES"),
)
# A list is spoilt where the account has something in it.
CLASSIC_USDC = _case(_classic("two"), reads=(f"{CLASSIC_POSITIONS} USDC-FUTURES", f"{CLASSIC_ACCOUNTS} USDC-FUTURES"))
UNIFIED = _case(
    _unified("mixed"),
    _unified("hedged"),
    _unified("two"),
    reads=(f"{UNIFIED_POSITIONS} USDT-FUTURES", "/api/v3/account/assets"),
)
UNIFIED_COIN = _case(_unified("coin", Figure.BRACKETS), reads=(f"{UNIFIED_POSITIONS} COIN-FUTURES",))
CASES = (CLASSIC, CLASSIC_USDC, UNIFIED, UNIFIED_COIN)


@asynccontextmanager
async def reading(account: AccountCase, **profile: Any) -> AsyncIterator[tuple[House, AccountSource, ShiftedClock]]:
    clock = ShiftedClock()
    async with a_house(CLASSIC, clock, book_of(CLASSIC, clock.now())) as house:
        source = house.open(account)
        if profile:
            house.server.set_profile(account.account, **{**account.profile, **profile})
        yield house, source, clock

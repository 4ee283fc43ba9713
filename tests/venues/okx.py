"""OKX's trading account in its account modes, net and long/short, across and isolated."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from monitor.domain.account import MarginMode
from monitor.exchange.venues.figures import Figure, estimated
from monitor.paper.book import Account, PositionTruth
from monitor.paper.dialects.okx import BALANCE, OKX, POSITIONS, passphrase_of
from monitor.paper.dialects.okx_account import (
    DISCOUNT,
    FUTURES,
    MULTI,
    PORTFOLIO,
    counted,
    cross_pools,
    liquidation_price_of,
    mmr_of,
)
from monitor.paper.engine import Engine
from monitor.paper.unified import worth
from tests.paper import START
from tests.venues.books import Sizes, a_book
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, isolated_alone, per_currency
from tests.venues.mexc import whole_rate
from tests.venues.moving import price_with_its_coin

SIZES: Sizes = {("BTC", "USDT"): 0.01, ("ETH", "USDT"): 0.1, ("BTC", "USDC"): 0.01, ("ETH", "ETH"): 10.0}
OURS = estimated("made of other figures")
COUNTS = {"BTC": DISCOUNT, "ETH": DISCOUNT}


def _with_ratio(pool: PoolTruth) -> PoolTruth:
    owed = pool.maintenance_margin
    return replace(pool, venue_margin_ratio=owed / pool.equity if owed else None)


def _isolated(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """No initial margin is told of them."""
    return tuple(replace(_with_ratio(pool), initial_margin=None) for pool in isolated_alone(engine, owner))


def _per_currency(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    cross = [pool for pool in per_currency(engine, owner, tuple(owner.wallets)) if pool.pool.startswith("cross:")]
    return (*map(_with_ratio, cross), *_isolated(engine, owner))


def _together(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    pool = all_together(engine, owner, worth(engine))
    equity = sum(counted(engine, part) for part in cross_pools(engine, owner))
    available = max(0.0, equity - (pool.initial_margin or 0.0))
    return (_with_ratio(replace(pool, equity=equity, available=available)), *_isolated(engine, owner))


def _expected(truth: PositionTruth, mode: str) -> Mapping[Figure, Any]:
    """The fee of liquidation stands in the pool's maintenance alone; the book's figures are the same at any time."""
    told: dict[Figure, Any] = {Figure.MAINTENANCE: mmr_of(truth)}
    if truth.margin_mode is MarginMode.ISOLATED:
        return told | {Figure.INITIAL: None}
    if mode != FUTURES:
        engine = a_book(START, SIZES, whole_rate)
        told[Figure.LIQUIDATION_PRICE] = liquidation_price_of(engine, engine.account(truth.account), truth.symbol)
    if mode == PORTFOLIO:
        price = price_with_its_coin(engine, engine.account(truth.account), truth.symbol, COUNTS)
        told |= {Figure.LEVERAGE: None, Figure.INITIAL: None, Figure.MAINTENANCE: truth.maintenance_margin}
        told |= {Figure.LIQUIDATION_PRICE: price}
    return told


def _exact_of_isolated(truth: PositionTruth) -> frozenset[Figure]:
    isolated = truth.margin_mode is MarginMode.ISOLATED
    return frozenset({Figure.LIQUIDATION_PRICE, Figure.MAINTENANCE}) if isolated else frozenset()


def futures(account: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"{account} futures mode",
        pools=_per_currency,
        expected=partial(_expected, mode=FUTURES),
    )


def multi(account: str) -> AccountCase:
    return replace(
        futures(account),
        name=f"{account} multi-currency",
        pools=_together,
        profile={"acct_lv": MULTI},
        expected=partial(_expected, mode=MULTI),
    )


def portfolio(account: str) -> AccountCase:
    return replace(
        multi(account),
        name=f"{account} portfolio",
        profile={"acct_lv": PORTFOLIO},
        expected=partial(_expected, mode=PORTFOLIO),
        figures={Figure.LIQUIDATION_PRICE: OURS, Figure.MAINTENANCE: OURS},
        exact=_exact_of_isolated,
    )


_BOOKS = ("mixed", "hedged", "coin", "two")
OKX_CASE = VenueCase(
    venue="okx",
    dialect=OKX,
    sizes=SIZES,
    terms=whole_rate,
    credentials=lambda account: {
        "apiKey": account.api_key,
        "secret": account.secret,
        "password": passphrase_of(account),
    },
    accounts=tuple(made(name) for made in (futures, multi, portfolio) for name in _BOOKS),
    reads=(BALANCE, POSITIONS),
)

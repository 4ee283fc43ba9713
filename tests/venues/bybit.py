"""Bybit's unified account in its three margin modes, and each of the lists that its positions stand in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.exchange.venues.figures import Figure, estimated
from monitor.paper.book import Account, PositionTruth
from monitor.paper.dialects.bybit import BYBIT
from monitor.paper.engine import Engine
from monitor.paper.unified import unified_liquidation_price, worth
from tests.paper import START
from tests.venues.books import a_book
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, isolated_alone
from tests.venues.moving import price_with_its_coin

WALLET = "/v5/account/wallet-balance"
USDT, USDC, INVERSE = (f"/v5/position/list {scope}" for scope in ("linear USDT", "linear USDC", "inverse"))
# Contracts are counted in dollars.
SIZES = {("BTC", "BTC"): 1.0, ("ETH", "ETH"): 1.0}
OURS = estimated("made of other figures")


def _unified(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    pool = all_together(engine, owner, worth(engine))
    return (replace(pool, venue_margin_ratio=pool.maintenance_margin / pool.equity),)


def _of_cross(truth: PositionTruth) -> Mapping[Figure, Any]:
    """The book's figures are the same at any time."""
    engine = a_book(START, SIZES)
    return {Figure.LIQUIDATION_PRICE: unified_liquidation_price(engine, engine.account(truth.account), truth.symbol)}


def _of_portfolio(truth: PositionTruth) -> Mapping[Figure, Any]:
    engine = a_book(START, SIZES)
    price = price_with_its_coin(engine, engine.account(truth.account), truth.symbol)
    return {Figure.LIQUIDATION_PRICE: price, Figure.LEVERAGE: None, Figure.INITIAL: None}


def _cross(account: str, *symbols: str) -> AccountCase:
    return AccountCase(
        account=account, name=f"{account} cross", pools=_unified, shows=lambda s: s in symbols, expected=_of_cross
    )


def _isolated(account: str, symbol: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"{account} isolated",
        pools=isolated_alone,
        profile={"margin_mode": "ISOLATED_MARGIN"},
        shows=lambda s: s == symbol,
        figures={Figure.EQUITY: OURS},
    )


def _portfolio(account: str, *symbols: str) -> AccountCase:
    return replace(
        _cross(account, *symbols),
        name=f"{account} portfolio",
        profile={"margin_mode": "PORTFOLIO_MARGIN"},
        expected=_of_portfolio,
        figures={Figure.LIQUIDATION_PRICE: OURS, Figure.MAINTENANCE: OURS},
    )


LINEAR = VenueCase(
    venue="bybit",
    dialect=BYBIT,
    sizes=SIZES,
    accounts=(
        _cross("mixed", "BTCUSDT", "ETHUSDT"),
        _cross("hedged", "BTCUSDT"),
        _isolated("mixed", "SOLUSDT"),
        _isolated("hedged", "ETHUSDT"),
        _portfolio("mixed", "BTCUSDT", "ETHUSDT"),
        _portfolio("hedged", "BTCUSDT"),
    ),
    reads=(WALLET, USDT),
    crowd=AccountCase(account="many", name="many", pools=_unified),
)
TWO_COINS = ("BTCUSDT", "BTCUSDC", "ETHUSDC")
COINS = ("BTCUSD_PERP", "ETHUSD_PERP")
CASES = (
    LINEAR,
    replace(LINEAR, accounts=(_cross("two", *TWO_COINS), _portfolio("two", *TWO_COINS)), reads=(USDC,), crowd=None),
    replace(LINEAR, accounts=(_cross("coin", *COINS), _portfolio("coin", *COINS)), reads=(INVERSE,), crowd=None),
)

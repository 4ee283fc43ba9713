"""Paper exchanges for tests: small engines, a venue with two accounts in it, and clients that read it over HTTP."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import ccxt.async_support as ccxt

from monitor.clock import Clock
from monitor.domain.account import Side
from monitor.paper.contract import Bracket, Contract, brackets_of
from monitor.paper.engine import Engine
from monitor.paper.server import PaperServer

START = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)
# Three brackets whose amounts keep maintenance continuous at 50,000 and 600,000.
STEPS = brackets_of([(0, 50_000, 0.004, 125, 0), (50_000, 600_000, 0.005, 100, 50), (600_000, 1e9, 0.0065, 75, 950)])
COIN_STEPS = brackets_of([(0, 5, 0.004, 125, 0), (5, 10, 0.005, 100, 0.005), (10, 1e6, 0.01, 50, 0.055)])


def linear(symbol: str = "BTCUSDT", rate: float | None = None, **changes: Any) -> Contract:
    brackets = STEPS if rate is None else (Bracket(0, 1e12, rate, 100, 0),)
    base = symbol.removesuffix("USDT")
    return Contract(
        **{"symbol": symbol, "base": base, "quote": "USDT", "settle": "USDT", "brackets": brackets, **changes}
    )


def inverse(rate: float | None = None, **changes: Any) -> Contract:
    brackets = COIN_STEPS if rate is None else (Bracket(0, 1e12, rate, 100, 0),)
    given = {"symbol": "BTCUSD_PERP", "base": "BTC", "quote": "USD", "settle": "BTC", "contract_size": 100.0}
    return Contract(**{**given, "inverse": True, "brackets": brackets, **changes})


def an_exchange(*contracts: Contract, usdt: float = 0, btc: float = 0, hedge_mode: bool = False) -> Engine:
    engine = Engine(START)
    for contract in contracts:
        engine.add_contract(contract)
    engine.add_account("main", api_key="key", secret="secret", hedge_mode=hedge_mode)
    for asset, amount in (("USDT", usdt), ("BTC", btc)):
        if amount:
            engine.deposit("main", asset, amount)
    return engine


def a_venue(now: datetime) -> Engine:
    """`hedger` holds both sides of BTCUSDT, an isolated ETHUSDT and an inverse BTC; `single` is in one-way mode."""
    engine = Engine(now)
    usdt: dict[str, Any] = {"quote": "USDT", "settle": "USDT", "brackets": STEPS, "step": 0.001}
    for base, rate, hours in (("BTC", 0.0001, 8), ("ETH", -0.0002, 4), ("SOL", 0.0, 1)):
        interval = timedelta(hours=hours)
        engine.add_contract(
            Contract(symbol=f"{base}USDT", base=base, funding_rate=rate, funding_interval=interval, **usdt)
        )
    engine.add_contract(
        Contract(
            symbol="BTCUSD_PERP",
            base="BTC",
            quote="USD",
            settle="BTC",
            inverse=True,
            contract_size=100,
            brackets=COIN_STEPS,
            step=1,
            tick=0.1,
        )
    )
    for name, hedge_mode in (("hedger", True), ("single", False)):
        engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret", hedge_mode=hedge_mode)
        engine.deposit(name, "USDT", 20_000)
        engine.deposit(name, "BTC", 1.5)
    engine.open("hedger", "BTCUSDT", Side.LONG, 1, 117_000, 20)
    engine.open("hedger", "BTCUSDT", Side.SHORT, 0.25, 118_000, 20)
    engine.open("hedger", "ETHUSDT", Side.LONG, 3, 4_100, 5, isolated=True)
    engine.open("hedger", "BTCUSD_PERP", Side.SHORT, 3, 117_000, 20)
    engine.open("single", "BTCUSDT", Side.SHORT, 0.5, 117_000, 10)
    engine.open("single", "BTCUSD_PERP", Side.LONG, 6_000, 120_000, 5)
    engine.set_marks({"BTCUSDT": 116_000.5, "ETHUSDT": 4_000.25, "SOLUSDT": 207.0, "BTCUSD_PERP": 115_900.0})
    return engine


def signed(secret: str, params: Mapping[str, Any], clock: Clock) -> str:
    """A query with its timestamp and signature."""
    query = urlencode({"timestamp": now_ms(clock), **params})
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def now_ms(clock: Clock) -> int:
    return round(clock.now().timestamp() * 1000)


@asynccontextmanager
async def a_client(server: PaperServer, venue: str, account: str = "hedger") -> AsyncIterator[Any]:
    """The real ccxt class of a venue, every address of it turned to the paper exchange."""
    client = getattr(ccxt, venue)(
        {"apiKey": f"{account}-key", "secret": f"{account}-secret", "enableRateLimit": False, "timeout": 2000}
    )
    client.options["fetchCurrencies"] = False
    client.urls["api"] = {
        name: server.base_url + urlsplit(url).path for name, url in client.urls["api"].items() if isinstance(url, str)
    }
    try:
        yield client
    finally:
        await client.close()

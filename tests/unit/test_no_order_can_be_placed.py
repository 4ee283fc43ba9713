"""Every public and implicit method of every ccxt class is called, with a key that could trade: only reads leave."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base.types import Entry

from monitor.exchange.client import Shared, release, strict_client
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import venue_of
from tests.edge import Sent, sent, shared

__all__ = ["sent", "shared"]

CREDENTIALS = {
    "apiKey": "key",
    "secret": "c2VjcmV0c2VjcmV0",
    "password": "password",
    "uid": "1",
    "walletAddress": "0x" + "1" * 40,
    "privateKey": "0x" + "2" * 64,
    "login": "login",
    "accountId": "1",
    "token": "token",
}
ARGUMENTS: Mapping[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "symbols": ["BTC/USDT:USDT"],
    "type": "market",
    "side": "buy",
    "amount": 1.0,
    "price": 1.0,
    "ids": ["1"],
    "code": "USDT",
    "currency": "USDT",
    "fromAccount": "spot",
    "toAccount": "swap",
    "leverage": 20,
    "marginMode": "isolated",
    "hedged": True,
    "orders": [],
}
# What these venues read by POST, by what ccxt calls to read. Nothing else may leave but a GET.
READS_BY_POST = frozenset(
    {
        "bitfinex /auth/r/positions",
        "bitfinex /auth/r/wallets",
        "cryptocom /private/get-positions",
        "cryptocom /private/user-balance",
        "derive /private/get_all_portfolios",
        "derive /private/get_positions",
        "derive /private/get_subaccount",
        "derive /public/get_all_instruments",
        "derive /public/get_time",
        "grvt /full/v1/account_summary",
        "grvt /full/v1/all_instruments",
        "grvt /full/v1/positions",
        "htx /linear-swap-api/v1/swap_account_info",
        "htx /linear-swap-api/v1/swap_cross_account_info",
        "htx /linear-swap-api/v1/swap_cross_position_info",
        "htx /linear-swap-api/v1/swap_position_info",
        "htx /linear-swap-api/v3/unified_account_info",
        "htx /swap-api/v1/swap_account_info",
        "htx /swap-api/v1/swap_position_info",
        "hyperliquid /info",
        "paradex /auth",
        "whitebit /collateral-account/balance",
        "whitebit /collateral-account/positions/open",
    }
)
# What the last part of a path begins with where a venue acts by GET (deribit's buy).
ACTIONS = frozenset(
    ("buy", "sell", "cancel", "withdraw", "transfer", "create", "edit", "set", "borrow", "repay", "close", "place")
)


# Spot exchanges whose classes sign nothing with such a key.
SIGN_NOTHING = ("gemini", "revolutx")


def implicit_calls(client: Any) -> Iterator[tuple[str, Entry]]:
    """One name of every endpoint that ccxt knows of the venue."""
    by_endpoint = {
        (entry.method, str(entry.api), entry.path): (name, entry)
        for cls in type(client).__mro__
        for name, entry in vars(cls).items()
        if isinstance(entry, Entry)
    }
    yield from by_endpoint.values()


def unified_calls(client: Any) -> Iterator[str]:
    """Every public method that may send over HTTP; `request` and `fetch` are what all of them send through."""
    for name in dir(client):
        over_a_websocket = name.startswith(("watch", "un_watch", "unWatch")) or name.endswith(("_ws", "Ws"))
        if name.startswith("_") or over_a_websocket or name in ("close", "sleep", "request", "fetch"):
            continue
        if inspect.iscoroutinefunction(getattr(client, name)):
            yield name


def arguments_of(method: Any) -> dict[str, Any]:
    wanted = inspect.signature(method).parameters.values()
    required = (p for p in wanted if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD)
    return {parameter.name: ARGUMENTS.get(parameter.name, "1") for parameter in required}


def a_market(client: Any) -> Any:
    """A contract as a venue lists it, enough for an order to be made up for it."""
    given = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT"}
    ids = {"baseId": "BTC", "quoteId": "USDT", "settleId": "USDT", "contractSize": 1.0}
    kind = {"type": "swap", "swap": True, "contract": True, "linear": True, "inverse": False, "active": True}
    precision = {"precision": {"amount": 0.001, "price": 0.1}}
    return client.safe_market_structure({**given, **ids, **kind, **precision, "spot": False, "option": False})


async def refused(call: Callable[[], Awaitable[Any]]) -> bool:
    """Whether the guard kept a call from sending. What else it ends in does not matter: what it sent does."""
    try:
        async with asyncio.timeout(2):
            await call()
    except ReadError as failure:
        return "only reads" in failure.detail
    except Exception:  # noqa: BLE001  # made-up arguments; each of ccxt's classes stumbles in its own way
        return False
    return False


# Some of ccxt's methods make a request and stumble over the made-up arguments before they send it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("venue_id", ccxt.exchanges)
async def test_nothing_but_reads_leaves_whatever_is_called(venue_id: str, shared: Shared, sent: Sent) -> None:
    client = strict_client(venue_id, CREDENTIALS, rules=venue_of(venue_id).rules, shared=shared)
    called = refusals = 0
    try:
        for name, _ in implicit_calls(client):
            refusals += await refused(partial(getattr(client, name), {"symbol": "BTCUSDT"}))
            called += 1
        client.set_markets([a_market(client)])
        for name in unified_calls(client):
            method = getattr(client, name)
            refusals += await refused(partial(method, **arguments_of(method)))
            called += 1
    finally:
        release(client)
    assert called > 380
    assert refusals or venue_id in SIGN_NOTHING, "the walk must reach the guard, not fail before it"
    assert sent, "the walk must reach the network's edge"
    by_post = {path for method, path in sent if method != "GET"}
    assert [path for path in by_post if not is_known_read(venue_id, path)] == []
    assert [path for _, path in sent if first_word(path) in ACTIONS] == []


def first_word(path: str) -> str:
    return re.split(r"[-_.{?]|(?=[A-Z])", path.rsplit("/", 1)[-1])[0].lower()


# Kraken's spot exchange reads its margin positions by POST; its perpetuals are krakenfutures.
HOLDING_POSITIONS = [
    venue_id for venue_id in ccxt.exchanges if venue_id != "kraken" and getattr(ccxt, venue_id)().has["fetchPositions"]
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("venue_id", HOLDING_POSITIONS)
async def test_what_must_be_read_of_a_venue_is_not_refused(venue_id: str, shared: Shared) -> None:
    client = strict_client(venue_id, CREDENTIALS, rules=venue_of(venue_id).rules, shared=shared)
    client.set_markets([a_market(client)])
    try:
        for name in ("fetch_positions", "fetch_balance", "fetch_markets"):
            assert not await refused(getattr(client, name)), name
    finally:
        release(client)


def is_known_read(venue_id: str, path: str) -> bool:
    reads = [read.partition(" ")[2] for read in READS_BY_POST if read.startswith(f"{venue_id} ")]
    return path.endswith(tuple(reads))

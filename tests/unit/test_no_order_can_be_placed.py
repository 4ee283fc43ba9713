"""Every public and implicit method of every ccxt class is called, with a key that could trade.

First as the clients are: all but the listed calls are refused before anything is sent. Then with every call listed, as
if that list did not exist: only reads leave.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base.types import Entry

from monitor.domain.account import FailureKind
from monitor.exchange.client import Rules, Shared, release, strict_client
from monitor.exchange.failures import ReadError
from monitor.exchange.guard import endpoints_of
from monitor.exchange.registry import venue_of
from monitor.exchange.venues.binance import SAPI_READS, BinanceVenue
from monitor.exchange.venues.generic import CALLS, GenericVenue
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
# Lists of what was done.
RECORDS = ("record", "records", "history")


# Spot exchanges whose classes sign nothing with such a key.
SIGN_NOTHING = ("gemini", "revolutx")
# Kraken's spot exchange reads its margin positions by POST; its perpetuals are krakenfutures.
HOLDING_POSITIONS = [
    venue_id for venue_id in ccxt.exchanges if venue_id != "kraken" and getattr(ccxt, venue_id)().has["fetchPositions"]
]
# Their classes sign nothing, or ask nothing, before they have seen a key or a market of the venue's own making.
POSITIONS_NEED_MORE = frozenset(
    (
        "backpack",
        "bitflyer",
        "coinbaseinternational",
        "derive",
        "grvt",
        "hashkey",
        "modetrade",
        "polymarket",
        "woofipro",
    )
)
# They send for the others, or send nothing; `fetch` takes any URL.
PLUMBING = frozenset(("close", "sleep", "request", "fetch"))
# ccxt's methods take coroutines from each other, and stumble over made-up arguments before they await them.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@contextmanager
def a_client(venue_id: str, rules: Rules, shared: Shared) -> Iterator[Any]:
    """It holds one market, so that orders can be made up for it."""
    client = strict_client(venue_id, CREDENTIALS, rules=rules, shared=shared)
    client.set_markets([a_market(client)])
    try:
        yield client
    finally:
        release(client)
        client.socks_proxy_sessions = None


def a_market(client: Any) -> Any:
    """A contract as a venue lists it, enough for an order to be made up for it."""
    given = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT"}
    ids = {"baseId": "BTC", "quoteId": "USDT", "settleId": "USDT", "contractSize": 1.0}
    kind = {"type": "swap", "swap": True, "contract": True, "linear": True, "inverse": False, "active": True}
    precision = {"precision": {"amount": 0.001, "price": 0.1}}
    info = {"info": {"orderTypes": ["MARKET"]}}
    return client.safe_market_structure({**info, **given, **ids, **kind, **precision, "spot": False, "option": False})


@cache
def whole_class(venue_id: str) -> Any:
    """ccxt's class and the endpoints that it does not know."""
    return type(venue_id, (getattr(ccxt, venue_id),), endpoints_of(venue_of(venue_id).rules.further))


def public_methods(venue_class: type) -> dict[str, object]:
    """What each name stands for: an endpoint, or a function that ccxt has under two names.

    Implicit, unified, by websocket, the plumbing below them, and what only computes.
    """
    endpoints = {
        entry.unbound_method: (entry.method, str(entry.api), entry.path)
        for cls in venue_class.__mro__
        for entry in vars(cls).values()
        if isinstance(entry, Entry)
    }
    public = {name: getattr(venue_class, name) for name in dir(venue_class) if not name.startswith("_")}
    return {name: endpoints.get(method, method) for name, method in public.items() if callable(method)}


def may_send(method: object) -> bool:
    return isinstance(method, tuple) or inspect.iscoroutinefunction(method)


def made_up_call(client: Any, name: str) -> Callable[[], Any]:
    wanted = required(getattr(whole_class(client.id), name))
    return partial(getattr(client, name), **{parameter: ARGUMENTS.get(parameter, "1") for parameter in wanted})


@cache
def required(method: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments that a method cannot do without, but for the client."""
    wanted = list(inspect.signature(method).parameters.values())[1:]
    return tuple(p.name for p in wanted if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD)


async def refused(call: Callable[[], Awaitable[Any]]) -> bool:
    """Whether a call was kept from sending. What else it ends in does not matter: what it sent does."""
    try:
        async with asyncio.timeout(2):
            await call()
    except ReadError as failure:
        return failure.kind is FailureKind.UNSUPPORTED and "only reads" in failure.detail
    except Exception:  # noqa: BLE001  # made-up arguments; each of ccxt's classes stumbles in its own way
        return False
    return False


# --- the first line: which methods can be called ---


async def admitted_calls(client: Any, listed: frozenset[str]) -> set[str]:
    """Calls every public method that is not listed; the names of those that may send and were not refused."""
    methods = public_methods(whole_class(client.id))
    on_the_list = [methods[name] for name in listed]
    admitted = set()
    for name, method in methods.items():
        if method in on_the_list:
            continue
        call = made_up_call(client, name)
        if may_send(method):
            if not await refused(call):
                admitted.add(name)
            continue
        with suppress(Exception):
            outcome = call()
            if inspect.isawaitable(outcome):
                await outcome
    return admitted


@pytest.mark.parametrize("venue_id", ccxt.exchanges)
async def test_every_call_off_the_list_is_refused_and_sends_nothing(venue_id: str, shared: Shared, sent: Sent) -> None:
    rules = venue_of(venue_id).rules
    with a_client(venue_id, rules, shared) as client:
        assert await admitted_calls(client, rules.calls) == set()
    assert sent == []


@pytest.mark.parametrize("venue_id", ccxt.exchanges)
def test_the_list_holds_reads_alone(venue_id: str) -> None:
    methods = public_methods(whole_class(venue_id))
    for name in venue_of(venue_id).rules.calls:
        method = methods[name]
        if isinstance(method, tuple):
            reads = method[0] == "GET" or f"{venue_id} /{method[2]}" in READS_BY_POST
        else:
            reads = name.startswith(("fetch_", "load_markets"))
        assert reads, name


@pytest.mark.parametrize("venue_id", ["binanceusdm", "okx"])
async def test_the_walk_finds_a_call_that_came_onto_the_list(venue_id: str, shared: Shared) -> None:
    rules = venue_of(venue_id).rules
    with a_client(venue_id, replace(rules, calls=rules.calls | {"create_order"}), shared) as client:
        assert await admitted_calls(client, rules.calls) >= {"create_order", "createOrder"}
    with a_client(venue_id, replace(rules, calls=rules.calls | {"fetch_ticker"}), shared) as client:
        assert await admitted_calls(client, rules.calls) == {"fetch_ticker", "fetchTicker"}


@pytest.mark.parametrize(("venue_id", "api"), [("binanceusdm", "fapiPrivate"), ("okx", "private")])
async def test_what_lies_below_the_calls_is_refused_as_well(
    venue_id: str, api: str, shared: Shared, sent: Sent
) -> None:
    """By way of ccxt's own class, past the client's; and with the session in hand."""
    ccxts = getattr(ccxt, venue_id)
    with a_client(venue_id, venue_of(venue_id).rules, shared) as client:
        url = next(iter(url for url in client.urls["api"].values() if isinstance(url, str)))
        url = url.replace("{hostname}", client.hostname or "")
        by_way = {
            "create_order": partial(ccxts.create_order, client, "BTC/USDT:USDT", "market", "buy", 1.0),
            "request": partial(ccxts.request, client, "order", [api], "POST"),
            "fetch2": partial(ccxts.fetch2, client, "order", [api], "POST"),
            "fetch": partial(ccxts.fetch, client, f"{url}/order", "POST"),
            "session": partial(client.session.post, f"{url}/order"),
        }
        for name, call in by_way.items():
            assert await refused(call), name
        for name in ("watch", "watch_multiple"):
            with pytest.raises(ReadError, match="only reads"):
                getattr(client, name)("wss://127.0.0.1/ws", ["order"], {"method": "order.place"})
    assert sent == []


@pytest.mark.parametrize("venue_id", ["binanceusdm", "binancecoinm"])
async def test_each_listed_call_sends_the_read_that_is_declared_with_it(
    venue_id: str, shared: Shared, sent: Sent
) -> None:
    venue = venue_of(venue_id)
    assert isinstance(venue, BinanceVenue)
    with a_client(venue_id, venue.rules, shared) as client:
        for name, (path, _) in {**venue.reads, **SAPI_READS}.items():
            assert not await refused(getattr(client, name)), name
            assert sent == [("GET", path)]
            sent.clear()
        assert not await refused(client.resync)
        assert sent == [("GET", f"/{venue.own.api}/v1/time")]


@pytest.mark.parametrize("venue_id", HOLDING_POSITIONS)
async def test_each_call_that_the_generic_reader_lists_is_let_through(
    venue_id: str, shared: Shared, sent: Sent
) -> None:
    sent_by = dict[str, Sent]()
    with a_client(venue_id, GenericVenue(id=venue_id).rules, shared) as client:
        for name in CALLS:
            assert not await refused(partial(getattr(client, name), *([True] if name == "load_markets" else []))), name
            sent_by[name] = [*sent]
            sent.clear()
    assert sent_by["load_markets"]
    assert bool(sent_by["fetch_positions"]) is (venue_id not in POSITIONS_NEED_MORE)


# --- the second line: which requests leave, whatever was called ---


@pytest.mark.parametrize("venue_id", ccxt.exchanges)
async def test_nothing_but_reads_leaves_were_every_call_listed(venue_id: str, shared: Shared, sent: Sent) -> None:
    methods = public_methods(getattr(ccxt, venue_id))
    calls = {method: name for name, method in methods.items() if may_send(method)}
    rules = replace(venue_of(venue_id).rules, calls=frozenset(calls.values()))
    with a_client(venue_id, rules, shared) as client:
        refusals = [await refused(made_up_call(client, name)) for name in calls.values() if name not in PLUMBING]
    assert len(refusals) > 250
    assert any(refusals) or venue_id in SIGN_NOTHING, "the walk must reach the guard, not fail before it"
    assert sent, "the walk must reach the network's edge"
    by_post = {path for method, path in sent if method != "GET"}
    assert [path for path in by_post if not is_known_read(venue_id, path)] == []
    assert [path for _, path in sent if first_word(path) in ACTIONS and not path.endswith(RECORDS)] == []


def first_word(path: str) -> str:
    return re.split(r"[-_.{?]|(?=[A-Z])", path.rsplit("/", 1)[-1])[0].lower()


def is_known_read(venue_id: str, path: str) -> bool:
    reads = [read.partition(" ")[2] for read in READS_BY_POST if read.startswith(f"{venue_id} ")]
    return path.endswith(tuple(reads))

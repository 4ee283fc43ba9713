"""No code path can place, change or cancel an order, move funds or change settings: nothing but reads leaves."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest
from ccxt.base.types import Entry

from monitor.clock import SystemClock
from monitor.domain.account import FailureKind
from monitor.exchange.budget import Budget
from monitor.exchange.client import ClockOffset, Shared, new_session, new_ssl_context, release, strict_client
from monitor.exchange.failures import ReadError
from monitor.exchange.guard import looks_like_a_read
from monitor.exchange.registry import venue_of

CREDENTIALS = {"apiKey": "key", "secret": "secret"}


@pytest.fixture
def sent() -> list[str]:
    """Every request anybody tried to send; none arrives."""
    return []


@pytest.fixture
async def shared(sent: list[str]) -> AsyncIterator[Shared]:
    clock = SystemClock()
    context = new_ssl_context()
    session = new_session(context)

    async def refuse(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        sent.append(f"{params.method} {params.url.path}")
        raise OSError("nothing leaves a test")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(refuse)
    tracing.freeze()
    session.trace_configs.append(tracing)
    budget = Budget(weight_per_minute=10**9, clock=clock)
    budget._throttler.rate_limit = 10**9
    yield Shared(clock=clock, session=session, ssl_context=context, budget=budget, offset=ClockOffset(), patience_s=5.0)
    await session.close()


def implicit_calls(venue_id: str) -> Iterator[tuple[str, Any]]:
    """(name, endpoint) of every implicit method of a ccxt class."""
    for cls in getattr(ccxt, venue_id).__mro__:
        for name, endpoint in vars(cls).items():
            if isinstance(endpoint, Entry) and not name.startswith("_"):
                yield name, endpoint


@pytest.mark.parametrize("venue_id", ["binanceusdm", "binancecoinm"])
async def test_of_all_implicit_calls_only_the_declared_reads_leave(
    venue_id: str, shared: Shared, sent: list[str]
) -> None:
    rules = venue_of(venue_id).rules
    client = strict_client(venue_id, CREDENTIALS, rules=rules, shared=shared)
    walked = 0
    try:
        for name, _ in implicit_calls(venue_id):
            walked += 1
            with pytest.raises(ReadError):
                await getattr(client, name)({"symbol": "BTCUSDT"})
    finally:
        release(client)
    assert walked > 500
    assert {line.removeprefix("GET ") for line in sent} == set(rules.weights)


# How the unified calls that act are named; every ccxt class has them all.
ACTING = frozenset(
    ("create", "cancel", "edit", "close", "set", "withdraw", "transfer", "borrow", "repay", "add", "reduce", "modify")
)


def a_market(client: Any) -> Any:
    """A contract as a venue lists it, enough for an order to be made up for it."""
    given = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT"}
    ids = {"baseId": "BTC", "quoteId": "USDT", "settleId": "USDT", "contractSize": 1.0}
    kind = {"type": "swap", "swap": True, "contract": True, "linear": True, "inverse": False, "active": True}
    precision = {"precision": {"amount": 0.001, "price": 0.1}}
    return client.safe_market_structure({**given, **ids, **kind, **precision, "spot": False, "option": False})


def acting_calls(client: Any) -> list[str]:
    return [
        name
        for name in dir(client)
        if ACTING & {name.split("_")[0]}
        and not name.endswith(("_ws", "_ws_clients", "_connector", "_sessions"))
        and name != "close"
        and inspect.iscoroutinefunction(getattr(client, name))
    ]


ARGUMENTS: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "symbols": ["BTC/USDT:USDT"],
    "type": "market",
    "side": "buy",
    "amount": 1.0,
    "price": 1.0,
    "id": "1",
    "ids": ["1"],
    "code": "USDT",
    "currency": "USDT",
    "address": "bc1qcanary",
    "fromAccount": "spot",
    "toAccount": "swap",
    "leverage": 20,
    "marginMode": "isolated",
    "hedged": True,
    "orders": [],
}


@pytest.mark.parametrize(
    ("venue_id", "least"),
    [("binanceusdm", 5), ("binancecoinm", 5), ("bybit", 5), ("okx", 5), ("deribit", 5), ("gate", 5)],
)
async def test_no_unified_call_that_acts_sends_anything(
    venue_id: str, least: int, shared: Shared, sent: list[str]
) -> None:
    rules = venue_of(venue_id).rules
    client = strict_client(venue_id, {**CREDENTIALS, "password": "p"}, rules=rules, shared=shared)
    client.set_markets([a_market(client)])
    refused = 0
    try:
        for name in acting_calls(client):
            wanted = inspect.signature(getattr(client, name)).parameters.values()
            arguments = {p.name: ARGUMENTS.get(p.name, "1") for p in wanted if p.default is p.empty}
            try:
                async with asyncio.timeout(2):
                    await getattr(client, name)(**arguments)
            except ReadError as failure:
                refused += "only reads" in failure.detail
            except (ccxt.BaseError, OSError, TypeError, KeyError, AttributeError, ValueError):
                continue
    finally:
        release(client)
    assert refused >= least, "the walk must reach the guard, not fail before it"
    assert [line for line in sent if not looks_like_a_read(venue_id, *line.split(" ", 1))] == []


@pytest.mark.parametrize("venue_id", ccxt.exchanges)
def test_no_endpoint_that_acts_by_its_name_looks_like_a_read(venue_id: str) -> None:
    acts = {"buy", "sell", "cancel", "withdraw", "transfer", "create", "edit", "set", "borrow", "repay", "close"}
    for _, endpoint in implicit_calls(venue_id):
        last = endpoint.path.rsplit("/", 1)[-1]
        if re.split(r"[-_.{?]|(?=[A-Z])", last)[0].lower() in acts:
            assert not looks_like_a_read(venue_id, endpoint.method, f"/{endpoint.path}"), endpoint.path


@pytest.mark.parametrize(
    ("venue_id", "method", "path", "leaves"),
    [
        ("deribit", "GET", "/api/v2/private/get_positions", True),
        ("deribit", "GET", "/api/v2/private/buy", False),
        ("deribit", "GET", "/api/v2/private/close_position", False),
        ("deribit", "GET", "/api/v2/private/submit_transfer_to_user", False),
        ("hyperliquid", "POST", "/info", True),
        ("hyperliquid", "POST", "/exchange", False),
        ("okx", "POST", "/info", False),
        ("bybit", "GET", "/v5/position/list", True),
        ("bybit", "POST", "/v5/order/create", False),
        ("bybit", "DELETE", "/v5/position/list", False),
        ("gate", "GET", "/api/v4/futures/usdt/positions", True),
        ("krakenfutures", "GET", "/derivatives/api/v3/openpositions", True),
        ("htx", "POST", "/linear-swap-api/v1/swap_cross_position_info", True),
        ("htx", "POST", "/linear-swap-api/v1/swap_cross_order", False),
        ("okx", "GET", "/api/v5/account/positions", True),
    ],
)
def test_a_request_looks_like_a_read_or_stays(venue_id: str, method: str, path: str, leaves: bool) -> None:
    assert looks_like_a_read(venue_id, method, path) is leaves


async def test_a_refused_request_says_so_and_is_no_network_failure(shared: Shared, sent: list[str]) -> None:
    client = strict_client("binanceusdm", CREDENTIALS, rules=venue_of("binanceusdm").rules, shared=shared)
    with pytest.raises(ReadError, match="only reads") as failure:
        await client.fapiPrivatePostOrder({"symbol": "BTCUSDT"})
    release(client)
    assert failure.value.kind is FailureKind.UNSUPPORTED
    assert sent == []

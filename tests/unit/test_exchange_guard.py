"""No code path can place, change or cancel an order, move funds or change settings: nothing but reads leaves."""

import ast
import asyncio
import base64
import hashlib
import hmac
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base.types import Entry

import monitor
from monitor.domain.account import FailureKind
from monitor.exchange.client import Shared, release, strict_client
from monitor.exchange.failures import ReadError
from monitor.exchange.guard import gets_of, looks_like_a_read
from monitor.exchange.modes import Mode
from monitor.exchange.registry import venue_of
from monitor.exchange.venues.generic import GenericVenue
from tests.edge import Sent, sent, shared

__all__ = ["sent", "shared"]

CREDENTIALS = {"apiKey": "key", "secret": "secret"}


def implicit_calls(venue_id: str) -> Iterator[tuple[str, Any]]:
    """(name, endpoint) of every implicit method of a ccxt class."""
    for cls in getattr(ccxt, venue_id).__mro__:
        for name, endpoint in vars(cls).items():
            if isinstance(endpoint, Entry) and not name.startswith("_"):
                yield name, endpoint


@pytest.mark.parametrize("venue_id", ["binanceusdm", "binancecoinm"])
async def test_were_all_implicit_calls_listed_only_the_declared_reads_leave(
    venue_id: str, shared: Shared, sent: Sent
) -> None:
    rules = replace(venue_of(venue_id).rules, calls=frozenset(name for name, _ in implicit_calls(venue_id)))
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
    assert set(sent) == {("GET", path) for path in rules.weights}


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
        ("htx", "GET", "/v5/trade/position/opens", True),
        ("htx", "GET", "/v5/trade/position/open", False),
        ("bingx", "GET", "/openApi/swap/v2/user/positions", True),
        ("bingx", "GET", "/openApi/api/v3/asset/transfer", False),
    ],
)
def test_a_request_looks_like_a_read_or_stays(venue_id: str, method: str, path: str, leaves: bool) -> None:
    assert looks_like_a_read(venue_id, method, path) is leaves


@pytest.mark.parametrize(
    ("method", "path", "leaves"),
    [
        ("GET", "/api/v1/positions", True),
        ("POST", "/api/v1/positions", False),
        ("GET", "/api/v1/positions/close", False),
        ("GET", "/api/v1/position", False),
        ("GET", "/charts.v1/trade/PF_XBTUSD/1h", True),
        ("GET", "/chartsXv1/trade/PF_XBTUSD/1h", False),
        ("GET", "/charts.v1/trade/PF_XBTUSD/1h/more", False),
        ("GET", "/charts.v1/trade/PF_XBTUSD", False),
        ("GET", "/charts.v1/trade//1h", False),
        ("GET", "/before/charts.v1/trade/PF_XBTUSD/1h", False),
    ],
)
def test_what_stands_in_braces_is_one_segment_of_a_path(method: str, path: str, leaves: bool) -> None:
    permits = gets_of(("/api/v1/positions", "/charts.v1/trade/{symbol}/{interval}"))
    assert permits(method, path) is leaves


@pytest.mark.parametrize(
    ("listed", "refusal"),
    [
        (frozenset[str](), "refused to call fapiPrivatePostOrder: perpwatch only reads"),
        (frozenset({"fapiPrivatePostOrder"}), "refused to send POST /fapi/v1/order: perpwatch only reads"),
    ],
    ids=["by the list of calls", "by the list of requests"],
)
async def test_a_refusal_says_so_and_is_no_network_failure(
    listed: frozenset[str], refusal: str, shared: Shared, sent: Sent
) -> None:
    rules = replace(venue_of("binanceusdm").rules, calls=listed)
    client = strict_client("binanceusdm", CREDENTIALS, rules=rules, shared=shared)
    with pytest.raises(ReadError) as failure:
        await client.fapiPrivatePostOrder({"symbol": "BTCUSDT"})
    release(client)
    assert failure.value.kind is FailureKind.UNSUPPORTED
    assert failure.value.detail == refusal
    assert sent == []


async def test_a_listed_call_opens_the_way_for_nothing_beside_it_and_nothing_after_it(
    shared: Shared, sent: Sent
) -> None:
    client = strict_client("okx", CREDENTIALS, rules=GenericVenue(id="okx").rules, shared=shared)
    calls = (client.fetch_time(), client.fetch_ticker("BTC/USDT:USDT"))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(ReadError):
        await client.fetch_time()
    with pytest.raises(ReadError, match="refused to call fetch_ticker"):
        await client.fetch_ticker("BTC/USDT:USDT")
    release(client)
    assert str(outcomes[1]).startswith("refused to call fetch_ticker")
    assert sent == [("GET", "/api/v5/public/time")] * 2


# --- endpoints that ccxt does not know ---

SIGNED = {"apiKey": "key", "secret": "c2VjcmV0"}


@pytest.mark.parametrize(
    ("mode", "host"), [(Mode.LIVE, "futures.kraken.com"), (Mode.TESTNET, "demo-futures.kraken.com")]
)
async def test_an_endpoint_that_ccxt_does_not_know_is_signed_and_asked_where_the_others_are(
    mode: Mode, host: str, shared: Shared, sent: Sent
) -> None:
    client = strict_client("krakenfutures", SIGNED, rules=venue_of("krakenfutures").rules, shared=shared, mode=mode)
    for name in ("authGetApiKeysV3Check", "privateGetTradingInstruments"):
        with pytest.raises(ReadError) as failure:
            await getattr(client, name)()
        assert failure.value.kind is FailureKind.NETWORK
    check = client.sign("api-keys/v3/check", ["auth"], "GET", {})
    release(client)
    assert sent == [("GET", "/api/auth/v1/api-keys/v3/check"), ("GET", "/derivatives/api/v3/trading/instruments")]
    assert check["url"] == f"https://{host}/api/auth/v1/api-keys/v3/check"
    signed = hmac.new(b"secret", hashlib.sha256(b"/api/auth/v1/api-keys/v3/check").digest(), hashlib.sha512).digest()
    assert check["headers"]["Authent"] == base64.b64encode(signed).decode()


async def test_an_endpoint_that_ccxt_does_not_know_is_called_from_the_list_alone(shared: Shared, sent: Sent) -> None:
    rules = replace(venue_of("krakenfutures").rules, calls=frozenset())
    client = strict_client("krakenfutures", SIGNED, rules=rules, shared=shared)
    with pytest.raises(ReadError, match="refused to call authGetApiKeysV3Check"):
        await client.authGetApiKeysV3Check()
    release(client)
    assert sent == []


# --- how ccxt comes in ---

MONITOR = Path(monitor.__file__).parent


def ways_in(source: str) -> list[str]:
    """Every import of ccxt, every class of an exchange taken from it by name, and every one looked up in it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                found += [ast.unparse(node) for alias in names if alias.name.split(".")[0] == "ccxt"]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "ccxt":
                found.append(ast.unparse(node))
            case ast.Attribute(ast.Name("ccxt"), name) if inspect.isclass(it := getattr(ccxt, name, None)):
                found += [ast.unparse(node)] if issubclass(it, ccxt.Exchange) else []
            case ast.Call(ast.Name("getattr"), [ast.Name("ccxt"), *_]):
                found.append(ast.unparse(node))
            case _:
                pass
    return found


def test_ccxt_comes_in_by_its_asynchronous_classes_and_those_through_the_strict_client_alone() -> None:
    found = {path.relative_to(MONITOR).as_posix(): ways_in(path.read_text("utf-8")) for path in MONITOR.rglob("*.py")}
    plain = "import ccxt.async_support as ccxt"
    others = {name: rest for name, ways in found.items() if (rest := [way for way in ways if way != plain])}
    assert [plain] in found.values()
    assert others == {
        "exchange/client.py": ["getattr(ccxt, venue_id)"],
        # Without a key, and for its addresses alone.
        "exchange/modes.py": ["getattr(ccxt, venue_id)"],
        "exchange/guard.py": ["from ccxt.base.types import Entry"],
    }


@pytest.mark.parametrize(
    "source",
    [
        "import ccxt",
        "import ccxt.pro as ccxt",
        "import json, ccxt.async_support",
        "from ccxt import binanceusdm",
        "from ccxt.pro import binanceusdm",
        "def late():\n    import ccxt.pro",
        "client = ccxt.binanceusdm()",
        "client = getattr(ccxt, name)()",
    ],
)
def test_every_other_way_in_is_noticed(source: str) -> None:
    assert len(ways_in(source)) == 1

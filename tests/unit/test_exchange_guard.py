"""No code path can place, change or cancel an order, move funds or change settings: nothing but reads leaves."""

import re
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base.types import Entry

from monitor.domain.account import FailureKind
from monitor.exchange.client import Shared, release, strict_client
from monitor.exchange.failures import ReadError
from monitor.exchange.guard import looks_like_a_read
from monitor.exchange.registry import venue_of
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
async def test_of_all_implicit_calls_only_the_declared_reads_leave(venue_id: str, shared: Shared, sent: Sent) -> None:
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


async def test_a_refused_request_says_so_and_is_no_network_failure(shared: Shared, sent: Sent) -> None:
    client = strict_client("binanceusdm", CREDENTIALS, rules=venue_of("binanceusdm").rules, shared=shared)
    with pytest.raises(ReadError, match="only reads") as failure:
        await client.fapiPrivatePostOrder({"symbol": "BTCUSDT"})
    release(client)
    assert failure.value.kind is FailureKind.UNSUPPORTED
    assert sent == []

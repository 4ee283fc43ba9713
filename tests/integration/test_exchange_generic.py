"""A venue without a module of its own, read over HTTP through ccxt's unified calls from recorded replies.

It is Bybit's Indonesian house, of which ccxt makes the same requests as of Bybit.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from monitor.clock import SystemClock
from monitor.domain.account import AccountSnapshot, FailureKind, PollFailure, PriceOrigin, Side
from monitor.domain.market import Book, Resting
from monitor.domain.study import Frame
from monitor.exchange.registry import AccountAccess, Exchanges
from tests.builders import needs_shared
from tests.bybit import recorded_positions, replies

pytestmark = needs_shared


HOUR_MS = 3_600_000
THIS_HOUR_MS = round(SystemClock().now().timestamp() * 1000) // HOUR_MS * HOUR_MS
# The newest first.
CANDLES = [
    [str(THIS_HOUR_MS), "71.2", "71.5", "71", "71.1", "10", "711"],
    [str(THIS_HOUR_MS - HOUR_MS), "70", "71.3", "69.9", "71.2", "9", "640"],
]
# What the venue tells of its one contract, by path.
MARKET: dict[str, Any] = {
    "/v5/market/kline": {"category": "linear", "symbol": "LTCUSDT", "list": CANDLES},
    "/v5/market/orderbook": {"s": "LTCUSDT", "b": [["71", "5"], ["70.9", "8"]], "a": [["71.2", "3"]], "u": 1, "seq": 1},
}


class Bybit:
    """As much of it as a read asks for. `positions` is sent as it stands."""

    def __init__(self, positions: str) -> None:
        self.positions = positions
        self.methods: set[str] = set()

    async def serve(self, request: web.Request) -> web.Response:
        self.methods.add(request.method)
        if request.path in MARKET:
            return web.json_response({"retCode": 0, "retMsg": "OK", "result": MARKET[request.path], "time": 1})
        if request.path == "/v5/position/list":
            return web.Response(text=self.positions, content_type="application/json")
        answer = replies(request.query.get("category")).get(request.path)
        return web.Response(status=404, text="{}") if answer is None else web.json_response(answer)


@pytest.fixture
def bybit() -> Bybit:
    return Bybit(json.dumps(recorded_positions()))


@pytest.fixture
async def base_url(bybit: Bybit) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bybit.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def exchanges() -> AsyncIterator[Exchanges]:
    opened = Exchanges(SystemClock())
    yield opened
    await opened.close()


def an_access(base_url: str, venue: str = "bybitid") -> AccountAccess:
    credentials = {"apiKey": "key", "secret": "secret"}
    return AccountAccess(name="main", venue=venue, credentials=credentials, base_url=base_url, read_deadline_s=3)


async def test_a_recorded_position_is_read_with_what_the_venue_sent(
    base_url: str, exchanges: Exchanges, bybit: Bybit
) -> None:
    observation = await exchanges.open_account(an_access(base_url)).observe()
    assert isinstance(observation, AccountSnapshot), observation
    (position,) = observation.positions
    assert (position.instrument.symbol, position.side, position.contracts) == ("LTC/USDT:USDT", Side.LONG, 1.2)
    assert position.mark_price == 71.1
    assert position.notional == pytest.approx(1.2 * 71.1)
    assert (position.maintenance_margin, position.unrealized_pnl) == (0.81072399, 7.800625)
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)
    assert observation.margins[0].margin_ratio is None
    assert any("margin ratio are unknown" in caveat for caveat in observation.caveats)
    assert bybit.methods == {"GET"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "<html>busy</html>",
        '{"retCode": 0, "result": {"list": [{"sy',
        '{"retCode":0,"result":{}}',
        '"ok"',
        "0",
    ],
)
async def test_a_broken_reply_is_malformed_and_never_flat(
    body: str, base_url: str, exchanges: Exchanges, bybit: Bybit
) -> None:
    bybit.positions = body
    observation = await exchanges.open_account(an_access(base_url)).observe()
    assert isinstance(observation, PollFailure), observation
    assert observation.kind is FailureKind.MALFORMED


async def test_an_empty_list_in_its_place_is_flat_with_its_caveats(
    base_url: str, exchanges: Exchanges, bybit: Bybit
) -> None:
    bybit.positions = json.dumps({**recorded_positions(), "result": {"category": "linear", "list": []}})
    observation = await exchanges.open_account(an_access(base_url)).observe()
    assert isinstance(observation, AccountSnapshot), observation
    assert observation.positions == ()
    assert any("only linear contracts" in caveat for caveat in observation.caveats)


async def test_candles_and_the_order_book_of_its_contract_are_read(base_url: str, exchanges: Exchanges) -> None:
    market = exchanges.open_account(an_access(base_url))._market
    ((raw, about),) = (await market.instruments()).items()
    candles = await market._venue.read_candles(market._client, raw, about, Frame.HOUR, 100)
    assert [(candle.open, candle.close) for candle in candles] == [(70.0, 71.2), (71.2, 71.1)]
    book = await market._venue.read_book(market._client, raw, about)
    assert book == Book(bids=(Resting(71.0, 5.0), Resting(70.9, 8.0)), asks=(Resting(71.2, 3.0),))


async def test_a_venue_that_lists_no_positions_is_refused(base_url: str, exchanges: Exchanges) -> None:
    observation = await exchanges.open_account(an_access(base_url, venue="bitstamp")).observe()
    assert isinstance(observation, PollFailure), observation
    assert observation.kind is FailureKind.UNSUPPORTED

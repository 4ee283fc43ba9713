"""The paper exchange on a bad day: every misbehaviour it can be told to show, seen raw and through ccxt."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt.async_support as ccxt
import pytest

from monitor.clock import SystemClock
from monitor.domain.account import Side
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.paper import a_client, a_venue, now_ms, signed

CLOCK = SystemClock()
LONG, SHORT = Side.LONG, Side.SHORT
RISK = "/fapi/v3/positionRisk"
Get = Callable[..., Awaitable[tuple[int, str, Any]]]


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(a_venue(CLOCK.now()), CLOCK) as running:
        yield running


@pytest.fixture
async def get(server: PaperServer) -> AsyncIterator[Get]:
    """`await get(path, account="hedger", **params)`: (status, body, headers); unsigned where the account is None."""
    async with aiohttp.ClientSession() as session:

        async def ask(path: str, account: str | None = "hedger", **params: Any) -> tuple[int, str, Any]:
            query, headers = urlencode(params), {}
            if account is not None:
                query = signed(f"{account}-secret", params, CLOCK)
                headers = {"X-MBX-APIKEY": f"{account}-key"}
            async with session.get(f"{server.base_url}{path}?{query}", headers=headers) as reply:
                return reply.status, await reply.text(), reply.headers

        yield ask


@pytest.mark.parametrize(
    ("fault", "status", "starts"),
    [
        (Fault(kind=FaultKind.RATE_LIMITED), 429, '{"code": -1003'),
        (Fault(kind=FaultKind.BANNED), 418, '{"code": -1003'),
        (Fault(kind=FaultKind.OVERLOADED), 503, '{"code": -1008'),
        (Fault(kind=FaultKind.FORBIDDEN), 403, "<html>"),
        (Fault(kind=FaultKind.REGION), 451, '{"code": 0'),
        (Fault(kind=FaultKind.SERVER_ERROR, status=500), 500, "<html>"),
        (Fault(kind=FaultKind.SERVER_ERROR, status=504), 504, "<html>"),
        (Fault(kind=FaultKind.HTML), 200, "<html>"),
        (Fault(kind=FaultKind.EMPTY_OBJECT), 200, "{}"),
        (Fault(kind=FaultKind.EMPTY_LIST), 200, "[]"),
        (Fault(kind=FaultKind.NULL), 200, "null"),
        (Fault(kind=FaultKind.NO_POSITIONS), 200, "[]"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_fault_answers_in_the_venues_stead_and_is_gone_when_cleared(
    server: PaperServer, get: Get, fault: Fault, status: int, starts: str
) -> None:
    server.misbehave(fault)
    spoilt_status, body, _ = await get(RISK)
    assert (spoilt_status, body.startswith(starts)) == (status, True)
    server.clear_faults()
    good_status, body, _ = await get(RISK)
    assert (good_status, len(json.loads(body))) == (200, 3)


async def test_a_truncated_or_empty_body_is_no_json(server: PaperServer, get: Get) -> None:
    for kind in (FaultKind.TRUNCATED, FaultKind.EMPTY_BODY):
        server.misbehave(Fault(kind=kind, times=1))
        status, body, _ = await get(RISK)
        assert status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


async def test_an_account_without_positions_keeps_its_totals(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.NO_POSITIONS))
    account = json.loads((await get("/fapi/v3/account"))[1])
    assert account["positions"] == []
    assert float(account["totalMaintMargin"]) > 0


@pytest.mark.parametrize(
    ("token", "is_token"), [("NaN", math.isnan), ("Infinity", math.isinf), ("-Infinity", math.isinf)]
)
async def test_figures_are_no_numbers_quoted_or_bare(
    server: PaperServer, get: Get, token: str, is_token: Callable[[float], bool]
) -> None:
    server.misbehave(Fault(kind=FaultKind.NOT_A_NUMBER, token=token, fields=("markPrice",), times=1))
    row = json.loads((await get(RISK))[1])[0]
    assert (row["markPrice"], row["symbol"]) == (token, "BTCUSDT")
    assert float(row["maintMargin"]) > 0
    server.misbehave(Fault(kind=FaultKind.NOT_A_NUMBER, token=token, quoted=False, times=1))
    row = json.loads((await get(RISK))[1])[0]
    assert is_token(row["maintMargin"])
    assert row["symbol"] == "BTCUSDT"


async def test_a_retry_after_is_sent_where_it_is_asked_for(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, times=1))
    assert "Retry-After" not in (await get(RISK))[2]
    server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, retry_after_s=7, times=1))
    assert (await get(RISK))[2]["Retry-After"] == "7"


async def test_a_fault_meets_its_path_its_key_and_its_number_of_requests_only(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="/fapi/*/positionRisk", api_key="hedger-*", times=2))
    statuses = [
        (await get("/fapi/v3/account"))[0],
        (await get(RISK, "single"))[0],
        (await get(RISK))[0],
        (await get("/fapi/v2/positionRisk"))[0],
        (await get(RISK))[0],
    ]
    assert statuses == [200, 200, 503, 503, 200]


async def test_stale_marks_stand_still_until_cleared(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.STALE, path="/fapi/*"))
    before = {path: (await get(path))[1] for path in (RISK, "/fapi/v1/premiumIndex")}
    server.engine.set_mark("BTCUSDT", 110_000)
    for path, body in before.items():
        assert (await get(path))[1] == body
    assert (await get(RISK, "single"))[1] != before[RISK]
    server.clear_faults()
    assert json.loads((await get("/fapi/v1/premiumIndex", None, symbol="BTCUSDT"))[1])["markPrice"] == "110000.00000000"


async def test_clock_skew_shows_in_the_servers_time(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-30))
    told = json.loads((await get("/fapi/v1/time", None))[1])["serverTime"]
    assert told == pytest.approx(now_ms(CLOCK) - 30_000, abs=2_000)
    status, body, _ = await get(RISK)
    assert (status, json.loads(body)["code"]) == (400, -1021)


async def test_latency_is_waited_before_the_answer(server: PaperServer, get: Get) -> None:
    server.misbehave(Fault(kind=FaultKind.LATENCY, seconds=0.05, times=1))
    started = CLOCK.monotonic()
    assert (await get(RISK))[0] == 200
    assert CLOCK.monotonic() - started >= 0.05


async def test_a_request_that_hangs_does_not_hold_up_the_servers_end() -> None:
    server = PaperServer(a_venue(CLOCK.now()), CLOCK)
    await server.start()
    server.misbehave(Fault(kind=FaultKind.HANG))
    async with aiohttp.ClientSession() as session:
        waiting = asyncio.create_task(_status(session, f"{server.base_url}/fapi/v1/time"))
        for _ in range(200):
            await asyncio.sleep(0.005)
            if server.in_flight:
                break
        assert server.in_flight == 1
        started = CLOCK.monotonic()
        await server.stop()
        assert CLOCK.monotonic() - started < 2
        assert await waiting in (200, None)


async def _status(session: aiohttp.ClientSession, url: str) -> int | None:
    try:
        async with session.get(url) as reply:
            return reply.status
    except aiohttp.ClientError:
        return None


async def test_more_faults_than_anybody_means_are_refused(server: PaperServer) -> None:
    for _ in range(100):
        server.misbehave(Fault(kind=FaultKind.HTML))
    with pytest.raises(ValueError, match="100 faults"):
        server.misbehave(Fault(kind=FaultKind.HTML))


async def test_ccxt_resyncs_with_a_venue_whose_clock_is_ahead(server: PaperServer) -> None:
    server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=120))
    async with a_client(server, "binanceusdm") as client:
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await client.fetch_positions()
        await client.load_time_difference()
        assert client.options["timeDifference"] == pytest.approx(-120_000, abs=2_000)
        client.options["adjustForTimeDifference"] = True
        assert len(await client.fetch_positions()) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind=FaultKind.RATE_LIMITED), ccxt.DDoSProtection),
        (Fault(kind=FaultKind.BANNED, retry_after_s=120), ccxt.DDoSProtection),
        (Fault(kind=FaultKind.OVERLOADED), ccxt.ExchangeError),
        (Fault(kind=FaultKind.REGION), ccxt.BaseError),
        (Fault(kind=FaultKind.FORBIDDEN), ccxt.BaseError),
        (Fault(kind=FaultKind.SERVER_ERROR, status=502), ccxt.ExchangeNotAvailable),
        (Fault(kind=FaultKind.HANG), ccxt.RequestTimeout),
        (Fault(kind=FaultKind.LATENCY, seconds=30), ccxt.RequestTimeout),
        (Fault(kind=FaultKind.DROPPED), ccxt.NetworkError),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_ccxt_meets_a_refusal_as_an_error(server: PaperServer, fault: Fault, error: type[Exception]) -> None:
    async with a_client(server, "binanceusdm") as client:
        await client.load_leverage_brackets()
        client.timeout = 200
        server.misbehave(fault)
        with pytest.raises(error):
            await client.fapiPrivateV3GetPositionRisk()

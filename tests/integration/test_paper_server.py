"""The paper exchange over HTTP, read by the real ccxt classes and by bare requests."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt.async_support as ccxt
import pytest

from monitor.clock import SystemClock
from monitor.domain.account import Side
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.server import PaperServer
from tests.builders import SHARED, needs_shared
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


# --- read by ccxt ---


async def test_ccxt_reads_linear_positions_as_the_engine_holds_them(server: PaperServer) -> None:
    async with a_client(server, "binanceusdm") as client:
        read = {(p["info"]["symbol"], p["side"]): p for p in await client.fetch_positions()}
        assert sorted(client.markets) == ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
    truth = [p for p in server.engine.positions("hedger") if p.symbol != "BTCUSD_PERP"]
    assert len(read) == len(truth) == 3
    for position in truth:
        found = read[position.symbol, position.side]
        assert found["info"]["positionSide"] == position.side.upper()
        assert found["contracts"] == pytest.approx(position.contracts)
        assert found["notional"] == pytest.approx(position.notional, abs=1e-8)
        assert found["entryPrice"] == pytest.approx(position.entry_price, abs=1e-8)
        assert found["unrealizedPnl"] == pytest.approx(position.unrealized_pnl, abs=1e-8)
        assert found["liquidationPrice"] == pytest.approx(position.liquidation_price, abs=1e-8)
        assert float(found["info"]["maintMargin"]) == pytest.approx(position.maintenance_margin, abs=1e-8)
        assert found["marginMode"] == position.margin_mode


async def test_ccxt_reads_inverse_positions_as_the_engine_holds_them(server: PaperServer) -> None:
    async with a_client(server, "binancecoinm", "single") as client:
        (found,) = await client.fetch_positions()
        balance = await client.fetch_balance()
    (position,) = [p for p in server.engine.positions("single") if p.symbol == "BTCUSD_PERP"]
    assert found["symbol"] == "BTC/USD:BTC"
    assert (found["contracts"], found["contractSize"], found["side"]) == (6000, 100, "long")
    assert found["notional"] == pytest.approx(position.notional, abs=1e-8)
    assert found["unrealizedPnl"] == pytest.approx(position.unrealized_pnl, abs=1e-8)
    assert found["liquidationPrice"] == pytest.approx(position.liquidation_price, abs=1e-8)
    assert balance["info"]["assets"][0]["maintMargin"] == f"{position.maintenance_margin:.8f}"
    assert balance["total"]["BTC"] == pytest.approx(1.5 + position.unrealized_pnl, abs=1e-8)


async def test_ccxt_reads_brackets_funding_and_mode(server: PaperServer) -> None:
    async with a_client(server, "binanceusdm") as linear, a_client(server, "binancecoinm") as inverse:
        tiers = await linear.fetch_leverage_tiers()
        assert [tier["minNotional"] for tier in tiers["BTC/USDT:USDT"]] == [0, 50_000, 600_000]
        coin_tiers = await inverse.fetch_leverage_tiers()
        assert [tier["info"]["cum"] for tier in coin_tiers["BTC/USD:BTC"]] == [0, 0.005, 0.055]
        rates = await linear.fetch_funding_rates()
        assert rates["ETH/USDT:USDT"]["fundingRate"] == -0.0002
        next_at = server.engine.market("ETHUSDT").next_funding_at
        assert rates["ETH/USDT:USDT"]["fundingTimestamp"] == next_at.timestamp() * 1000
        assert (await inverse.fetch_funding_rates())["BTC/USD:BTC"]["markPrice"] == 115_900
        intervals = await linear.fetch_funding_intervals()
        assert [intervals[f"{base}/USDT:USDT"]["interval"] for base in ("BTC", "ETH", "SOL")] == ["8h", "4h", "1h"]
        assert (await linear.fetch_position_mode())["hedged"] is True
        assert (await inverse.fetch_position_mode())["hedged"] is True
        permissions = await linear.sapiGetAccountApiRestrictions()
        assert (permissions["enableReading"], permissions["enableFutures"]) == (True, False)


@pytest.mark.parametrize("venue", ["binanceusdm", "binancecoinm"])
async def test_ccxt_refuses_a_wrong_secret(server: PaperServer, venue: str) -> None:
    async with a_client(server, venue) as client:
        client.secret = "wrong"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await client.fetch_positions()


# --- shapes ---

FIXTURES = [(RISK, 0), ("/fapi/v3/account", 1), ("/dapi/v1/positionRisk", 2)]


@needs_shared
@pytest.mark.parametrize(("path", "number"), FIXTURES)
async def test_replies_have_the_fields_of_recorded_ones(get: Get, path: str, number: int) -> None:
    recorded = json.loads((SHARED / "fixtures" / "binance.json").read_text())["methods"]["fetchPositions"]
    _, body, _ = await get(path)
    assert _shape(json.loads(body)) == _shape(recorded[number]["httpResponse"])


def _shape(value: Any) -> Any:
    """Names of fields all the way down, and of a list those of its first member."""
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    return [_shape(value[0])] if isinstance(value, list) else None


async def test_v3_lists_what_is_held_and_v2_everything(get: Get) -> None:
    def sides(body: str) -> list[tuple[str, str]]:
        return [(row["symbol"], row["positionSide"]) for row in json.loads(body)]

    held = [("BTCUSDT", "LONG"), ("BTCUSDT", "SHORT"), ("ETHUSDT", "LONG")]
    assert sides((await get(RISK))[1]) == held
    assert len(sides((await get("/fapi/v2/positionRisk"))[1])) == 6
    assert len(json.loads((await get("/fapi/v2/account"))[1])["positions"]) == 9
    assert sides((await get("/fapi/v2/positionRisk", "single"))[1]) == [
        ("BTCUSDT", "BOTH"),
        ("ETHUSDT", "BOTH"),
        ("SOLUSDT", "BOTH"),
    ]
    assert sides((await get(RISK, symbol="ETHUSDT"))[1]) == [("ETHUSDT", "LONG")]


async def test_the_cross_pool_stands_apart_from_isolated_margin(server: PaperServer, get: Get) -> None:
    account = json.loads((await get("/fapi/v3/account"))[1])
    cross = server.engine.pool("hedger", "cross:USDT")
    isolated = server.engine.pool("hedger", "isolated:ETHUSDT:long")
    assert float(account["totalCrossWalletBalance"]) == pytest.approx(cross.wallet, abs=1e-8)
    assert float(account["totalCrossUnPnl"]) == pytest.approx(cross.unrealized_pnl, abs=1e-8)
    assert float(account["totalMarginBalance"]) == pytest.approx(cross.equity + isolated.equity, abs=1e-7)
    (eth,) = [row for row in account["positions"] if row["symbol"] == "ETHUSDT"]
    assert float(eth["isolatedMargin"]) == pytest.approx(isolated.equity, abs=1e-8)
    assert float(eth["isolatedWallet"]) == pytest.approx(isolated.wallet, abs=1e-8)
    assert {row["isolatedWallet"] for row in account["positions"] if row["symbol"] == "BTCUSDT"} == {"0"}


async def test_an_unreachable_liquidation_is_told_as_zero(server: PaperServer, get: Get) -> None:
    server.engine.open("single", "SOLUSDT", LONG, 1, 207, 1)
    rows = json.loads((await get(RISK, "single"))[1])
    assert {row["symbol"]: row["liquidationPrice"] for row in rows}["SOLUSDT"] == "0"


async def test_modes_and_permissions_are_told_as_they_are_set(server: PaperServer, get: Get) -> None:
    assert json.loads((await get("/fapi/v1/multiAssetsMargin"))[1]) == {"multiAssetsMargin": False}
    assert json.loads((await get("/fapi/v1/positionSide/dual", "single"))[1]) == {"dualSidePosition": False}
    server.set_profile("hedger", multi_assets=True, restrictions={"enableWithdrawals": True})
    assert json.loads((await get("/fapi/v1/accountConfig"))[1])["multiAssetsMargin"] is True
    restrictions = json.loads((await get("/sapi/v1/account/apiRestrictions"))[1])
    assert (restrictions["enableWithdrawals"], restrictions["enableFutures"]) == (True, False)


# What some questions are nothing without.
ABOUT = {
    f"/{api}/v1/{name}": {"symbol": symbol, "interval": "1h"}
    for api, symbol in (("fapi", "BTCUSDT"), ("dapi", "BTCUSD_PERP"))
    for name in ("klines", "depth")
}
EVERY_PATH = sorted(name.partition(" ")[2] for name in BINANCE.endpoints)


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("account", ["hedger", "single"])
async def test_every_endpoint_answers_with_finite_json_and_its_weight(
    server: PaperServer, get: Get, path: str, account: str
) -> None:
    server.set_profile(account, portfolio_margin=path.startswith(("/papi", "/sapi/v1/portfolio")))

    def refuse(token: str) -> None:
        raise AssertionError(token)

    status, body, headers = await get(path, account, **ABOUT.get(path, {}))
    assert status == 200
    json.loads(body, parse_constant=refuse)
    name = "X-SAPI-USED-IP-WEIGHT-1M" if path.startswith("/sapi") else "X-MBX-USED-WEIGHT-1M"
    assert int(headers[name]) >= 0


@pytest.mark.parametrize("path", sorted(ABOUT))
async def test_what_is_told_of_one_contract_is_refused_where_none_is_named(get: Get, path: str) -> None:
    status, body, _ = await get(path, None)
    assert (status, json.loads(body)["code"]) == (400, -1102)


# --- authorisation and limits ---


@pytest.mark.parametrize(
    ("headers", "params", "secret", "status", "code"),
    [
        ({}, {}, "hedger-secret", 401, -2014),
        ({"X-MBX-APIKEY": "nobody"}, {}, "hedger-secret", 401, -2015),
        ({"X-MBX-APIKEY": "hedger-key"}, {}, "single-secret", 400, -1022),
        ({"X-MBX-APIKEY": "hedger-key"}, {"timestamp": 1}, "hedger-secret", 400, -1021),
        ({"X-MBX-APIKEY": "hedger-key"}, {"timestamp": 9_999_999_999_999}, "hedger-secret", 400, -1021),
        ({"X-MBX-APIKEY": "hedger-key"}, {"timestamp": "soon"}, "hedger-secret", 400, -1100),
        ({"X-MBX-APIKEY": "hedger-key"}, {"timestamp": ""}, "hedger-secret", 400, -1102),
        ({"X-MBX-APIKEY": "hedger-key"}, {"recvWindow": 60_001}, "hedger-secret", 400, -1131),
        ({"X-MBX-APIKEY": "hedger-key"}, {"symbol": "PEPEUSDT"}, "hedger-secret", 400, -1121),
        ({"X-MBX-APIKEY": "hedger-key"}, {}, "hedger-secret", 200, None),
    ],
)
async def test_a_signed_request_is_checked_as_the_venue_does(
    server: PaperServer, headers: dict[str, str], params: dict[str, Any], secret: str, status: int, code: int | None
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.base_url}{RISK}?{signed(secret, params, CLOCK)}", headers=headers) as reply,
    ):
        body = await reply.json()
        assert reply.status == status
        assert (body["code"] if isinstance(body, dict) else None) == code


async def test_an_unsigned_request_is_told_what_is_missing(server: PaperServer) -> None:
    url = f"{server.base_url}{RISK}?timestamp={now_ms(CLOCK)}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"X-MBX-APIKEY": "hedger-key"}) as reply,
    ):
        assert reply.status == 400
        assert "'signature'" in (await reply.json())["msg"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/fapi/v1/order"), ("DELETE", RISK), ("GET", "/fapi/v9/x")])
async def test_anything_but_a_known_read_is_refused_and_logged(server: PaperServer, method: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.request(method, server.base_url + path) as reply:
        assert reply.status == 404
        assert (await reply.json())["code"] == -5000
    assert [(line.method, line.path, line.status) for line in server.requests] == [(method, path, 404)]


async def test_weights_add_up_per_api_and_a_limit_is_enforced_where_set() -> None:
    async with (
        PaperServer(a_venue(CLOCK.now()), CLOCK, weight_limit=15) as server,
        aiohttp.ClientSession() as session,
    ):
        used = []
        for path in ("/fapi/v1/premiumIndex", "/fapi/v1/premiumIndex?symbol=BTCUSDT", "/dapi/v1/premiumIndex"):
            async with session.get(server.base_url + path) as reply:
                used.append(int(reply.headers["X-MBX-USED-WEIGHT-1M"]))
        assert used == [10, 11, 10]
        async with session.get(server.base_url + "/fapi/v1/premiumIndex") as reply:
            assert reply.status == 429
            assert (await reply.json())["code"] == -1003
            assert reply.headers["Retry-After"] == "60"

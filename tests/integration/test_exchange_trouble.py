"""A venue on a bad day, a wrong clock, a bad key, a ban: each is a failure of its kind, and none is a flat account."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from monitor.clock import ScaledClock
from monitor.domain.account import FailureKind, Side
from monitor.exchange import client
from monitor.exchange.registry import AccountAccess, Exchanges
from monitor.exchange.venues.venue import KeyFacts
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.paper import START, a_venue, linear
from tests.reading import Open, ShiftedClock, clock, engine, exchanges, failed, good, open_account, server

ACCOUNT, RISK = "/fapi/v3/account", "/fapi/v3/positionRisk"
CONFIG = "/fapi/v1/accountConfig"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.EMPTY_BODY), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.HTML), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.EMPTY_OBJECT), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NULL), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.TRUNCATED), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NOT_A_NUMBER), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NOT_A_NUMBER, quoted=False), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NOT_A_NUMBER, token="Infinity", fields=("maintMargin",)), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.FORBIDDEN), FailureKind.REGION),
        (Fault(kind=FaultKind.REGION), FailureKind.REGION),
        (Fault(kind=FaultKind.SERVER_ERROR, status=401), FailureKind.AUTH),
        (Fault(kind=FaultKind.SERVER_ERROR, status=404), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.SERVER_ERROR, status=500), FailureKind.OVERLOADED),
        (Fault(kind=FaultKind.SERVER_ERROR, status=502), FailureKind.OVERLOADED),
        (Fault(kind=FaultKind.OVERLOADED), FailureKind.OVERLOADED),
        (Fault(kind=FaultKind.RATE_LIMITED), FailureKind.RATE_LIMIT),
        (Fault(kind=FaultKind.BANNED), FailureKind.BANNED),
        (Fault(kind=FaultKind.HANG), FailureKind.TIMEOUT),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else str(value),
)
@pytest.mark.parametrize("path", [ACCOUNT, RISK])
async def test_a_bad_reply_is_a_failure_of_its_kind_and_never_a_flat_account(
    path: str, fault: Fault, kind: FailureKind, server: PaperServer, open_account: Open
) -> None:
    source = open_account("hedger", read_deadline_s=1.5)
    good(await source.observe())
    server.misbehave(replace(fault, path=path))
    failure = failed(await source.observe())
    assert failure.kind is kind
    assert "signature" not in failure.detail
    assert "hedger-secret" not in failure.detail


@pytest.mark.parametrize("path", [ACCOUNT, RISK, "/fapi/v3/*"])
async def test_positions_that_vanish_while_margin_is_in_use_are_implausible(
    path: str, server: PaperServer, open_account: Open
) -> None:
    source = open_account("hedger")
    server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=path))
    assert failed(await source.observe()).kind is FailureKind.IMPLAUSIBLE
    server.clear_faults()
    assert len(good(await source.observe()).positions) == 3


async def test_a_reply_that_was_wrong_once_is_read_again_at_once(server: PaperServer, open_account: Open) -> None:
    source = open_account("hedger")
    good(await source.observe())
    server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=RISK, times=1))
    assert len(good(await source.observe()).positions) == 3


async def test_an_account_that_was_really_closed_is_read_as_flat(
    server: PaperServer, engine: Engine, open_account: Open
) -> None:
    source = open_account("single")
    good(await source.observe())
    engine.close("single", "BTCUSDT", Side.SHORT)
    before = server.counts[RISK]
    assert good(await source.observe()).positions == ()
    assert server.counts[RISK] - before == 2


async def test_a_reply_that_stands_still_while_the_market_moves_is_implausible(
    server: PaperServer, engine: Engine, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("single")
    server.misbehave(Fault(kind=FaultKind.STALE, path="/fapi/v3/*"))
    good(await source.observe())
    engine.set_marks({"BTCUSDT": 113_000.0})
    clock.ahead += timedelta(seconds=10)
    await source.observe()
    clock.ahead += timedelta(seconds=10)
    failure = failed(await source.observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE
    assert "stale" in failure.detail


async def test_marks_that_stand_still_are_not_taken_for_new_ones(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("single")
    server.misbehave(Fault(kind=FaultKind.STALE, path="/fapi/v1/premiumIndex"))
    good(await source.observe())
    read_at = source.markets()["BTC/USDT:USDT"].mark_price
    clock.ahead += timedelta(minutes=5)
    good(await source.observe())
    assert source.markets()["BTC/USDT:USDT"].mark_price == read_at


async def test_public_data_that_fails_does_not_fail_the_account(server: PaperServer, open_account: Open) -> None:
    for path in ("premiumIndex", "fundingInfo", "leverageBracket"):
        server.misbehave(Fault(kind=FaultKind.HTML, path=f"/fapi/v1/{path}"))
    source = open_account("single")
    good(await source.observe())
    state = source.markets()["BTC/USDT:USDT"]
    assert (state.mark_price, state.funding, state.tiers) == (None, None, None)


async def test_public_data_that_hangs_holds_an_account_up_for_a_moment_only() -> None:
    quick = ScaledClock(START, 20)
    async with PaperServer(a_venue(quick.now()), quick) as server:
        server.misbehave(Fault(kind=FaultKind.HANG, path="/fapi/v1/premiumIndex"))
        exchanges = Exchanges(quick)
        credentials = {"apiKey": "single-key", "secret": "single-secret"}
        access = AccountAccess(name="single", venue="binanceusdm", credentials=credentials, base_url=server.base_url)
        source = exchanges.open_account(access)
        await source.observe()
        began_s = quick.monotonic()
        good(await source.observe())
        assert quick.monotonic() - began_s < 4
        await exchanges.close()


async def test_an_old_market_list_that_cannot_be_renewed_serves_on(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("single")
    good(await source.observe())
    server.misbehave(Fault(kind=FaultKind.HTML, path="/fapi/v1/exchangeInfo"))
    clock.ahead += timedelta(hours=2)
    good(await source.observe())
    assert server.counts["/fapi/v1/exchangeInfo"] == 2


async def test_a_position_in_a_contract_listed_since_is_found_by_reading_the_list_anew(
    server: PaperServer, engine: Engine, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("single")
    good(await source.observe())
    engine.add_contract(linear("NEWUSDT"))
    engine.open("single", "NEWUSDT", Side.LONG, 10, 2.0, 5)
    assert failed(await source.observe()).kind is FailureKind.MALFORMED
    clock.ahead += timedelta(minutes=2)
    symbols = {p.instrument.symbol for p in good(await source.observe()).positions}
    assert symbols == {"BTC/USDT:USDT", "NEW/USDT:USDT"}


async def test_no_request_leaves_while_the_address_is_banned(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    banned, neighbour = open_account("hedger"), open_account("single")
    good(await banned.observe())
    good(await neighbour.observe())
    server.misbehave(Fault(kind=FaultKind.BANNED, path=ACCOUNT, times=1, retry_after_s=300))
    failure = failed(await banned.observe())
    assert failure.kind is FailureKind.BANNED
    assert failure.retry_at is not None
    assert timedelta(seconds=298) < failure.retry_at - clock.now() <= timedelta(seconds=300)
    before = server.counts.total()
    for source in (banned, neighbour, banned):
        assert failed(await source.observe()).kind is FailureKind.BANNED
    assert server.counts.total() == before
    clock.ahead += timedelta(seconds=301)
    good(await banned.observe())
    good(await neighbour.observe())


async def test_a_ban_outlives_the_accounts_that_were_told_of_it(
    server: PaperServer, exchanges: Exchanges, open_account: Open, clock: ShiftedClock
) -> None:
    banned = open_account("hedger")
    good(await banned.observe())
    server.misbehave(Fault(kind=FaultKind.BANNED, path=ACCOUNT, times=1, retry_after_s=300))
    assert failed(await banned.observe()).kind is FailureKind.BANNED
    await exchanges.close_account(banned)
    before = server.counts.total()
    # As an edit of the configuration does.
    assert failed(await open_account("hedger").observe()).kind is FailureKind.BANNED
    assert server.counts.total() == before
    clock.ahead += timedelta(seconds=301)
    good(await open_account("hedger").observe())


async def test_the_weight_the_venue_counts_for_the_address_is_kept_within_by_all_accounts(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    sources = [open_account("hedger"), open_account("single")]
    for source in sources:
        good(await source.observe())
    clock.ahead += timedelta(seconds=70 - clock.now().timestamp() % 60)
    # Somebody else behind the same address has spent nearly all of this minute.
    server._weights["fapi"] = (int(clock.now().timestamp() // 60), 2155)
    good(await sources[0].observe())
    before = server.counts.total()
    for source in sources:
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.RATE_LIMIT
        assert failure.retry_at is not None
        assert failure.retry_at - clock.now() < timedelta(seconds=51)
    assert server.counts.total() == before
    clock.ahead += timedelta(seconds=51)
    for source in sources:
        good(await source.observe())


async def test_a_bad_key_is_not_tried_again_within_the_minute(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("single", credentials={"apiKey": "nobody", "secret": "nothing"})
    assert failed(await source.observe()).kind is FailureKind.AUTH
    before = server.counts[CONFIG]
    assert failed(await source.observe()).kind is FailureKind.AUTH
    assert server.counts[CONFIG] == before
    clock.ahead += timedelta(seconds=61)
    assert failed(await source.observe()).kind is FailureKind.AUTH
    assert server.counts[CONFIG] == before + 1


@pytest.mark.parametrize("skew_s", [-30.0, 30.0])
async def test_a_clock_that_is_off_is_set_right_and_the_read_succeeds(
    skew_s: float, server: PaperServer, open_account: Open
) -> None:
    server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=skew_s))
    source = open_account("hedger")
    assert len(good(await source.observe()).positions) == 3
    before = server.counts["/fapi/v1/time"]
    good(await source.observe())
    assert server.counts["/fapi/v1/time"] == before
    facts = await source.key_facts()
    assert isinstance(facts, KeyFacts)
    assert facts.clock_ahead_s == pytest.approx(-skew_s, abs=1.0)


PORTFOLIO = {"portfolio_margin": True}


@pytest.mark.parametrize(
    ("venue", "profile", "named"),
    [
        ("binancecoinm", PORTFOLIO, "venue binanceusdm"),
        ("binanceusdm", PORTFOLIO | {"portfolio_kind": "PM_1"}, "Portfolio Margin Pro"),
    ],
)
async def test_an_account_of_a_kind_that_is_not_read_is_refused_and_noticed_within_ten_minutes(
    server: PaperServer, open_account: Open, clock: ShiftedClock, venue: str, profile: dict[str, Any], named: str
) -> None:
    source = open_account("hedger", venue)
    assert good(await source.observe()).caveats == ()
    server.set_profile("hedger", **profile)
    clock.ahead += timedelta(minutes=10)
    failure = failed(await source.observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert named in failure.detail
    server.set_profile("hedger", portfolio_margin=False)
    clock.ahead += timedelta(minutes=2)
    good(await source.observe())


@pytest.mark.parametrize(
    ("restrictions", "may_trade", "may_withdraw"),
    [
        ({}, False, False),
        ({"enableFutures": True}, True, False),
        ({"enableWithdrawals": True}, False, True),
        ({"permitsUniversalTransfer": True, "enableSpotAndMarginTrading": True}, True, True),
    ],
)
@pytest.mark.parametrize("venue", ["binanceusdm", "binancecoinm"])
async def test_key_facts_tell_what_the_key_may_do(
    venue: str,
    restrictions: dict[str, bool],
    may_trade: bool,
    may_withdraw: bool,
    server: PaperServer,
    open_account: Open,
) -> None:
    server.set_profile("single", restrictions=restrictions)
    facts = await open_account("single", venue).key_facts()
    assert isinstance(facts, KeyFacts)
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (may_trade, may_withdraw, False)
    assert facts.clock_ahead_s == pytest.approx(0.0, abs=1.0)


async def test_a_server_that_is_not_there_is_a_network_failure(exchanges: Exchanges) -> None:
    access = AccountAccess(
        name="main",
        venue="binanceusdm",
        credentials={"apiKey": "key", "secret": "canary-secret"},
        base_url="http://127.0.0.1:9",
    )
    failure = failed(await exchanges.open_account(access).observe())
    assert failure.kind is FailureKind.NETWORK
    assert "canary" not in failure.detail


async def test_at_no_level_do_requests_or_replies_reach_the_log(
    open_account: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good(await open_account("hedger").observe())
    said = [record.getMessage() for record in caplog.records]
    assert not [line for line in said if "signature" in line or "MBX" in line or "maintMargin" in line]


async def test_missing_credentials_are_an_auth_failure(open_account: Open) -> None:
    assert failed(await open_account("single", credentials={}).observe()).kind is FailureKind.AUTH


@asynccontextmanager
async def _answering(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[AccountAccess]:
    """An account at a venue that answers everything so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield AccountAccess(
        name="main",
        venue="binanceusdm",
        credentials={"apiKey": "key", "secret": "secret"},
        base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/gateway",
    )
    await runner.cleanup()


async def test_a_redirect_is_not_followed(exchanges: Exchanges) -> None:
    seen: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with _answering(redirect) as access:
        assert failed(await exchanges.open_account(access).observe()).kind is FailureKind.MALFORMED
        await exchanges.close()
    assert seen


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_of_a_reply_no_more_is_taken_than_one_may_have(
    encoding: str, exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 1_000_000)
    taken = 0
    readany = aiohttp.StreamReader.readany

    async def counted(stream: aiohttp.StreamReader) -> bytes:
        nonlocal taken
        piece = await readany(stream)
        taken += len(piece)
        return piece

    monkeypatch.setattr(aiohttp.StreamReader, "readany", counted)
    endless = bytes(50_000_000)

    async def answer(_: web.Request) -> web.Response:
        body = gzip.compress(endless) if encoding == "gzip" else endless
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    async with _answering(answer) as access:
        failure = failed(await exchanges.open_account(access).observe())
        await exchanges.close()
    assert (failure.kind, failure.detail) == (FailureKind.MALFORMED, "a reply of more than 1,000,000 bytes")
    assert 0 < taken < 5_000_000


async def test_settings_are_read_again_within_ten_minutes_and_not_those_of_all_accounts_at_once(
    server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    sources = [
        open_account(f"fund-{number}", credentials={"apiKey": "hedger-key", "secret": "hedger-secret"})
        for number in range(8)
    ]

    async def asked_after(wait: timedelta) -> int:
        clock.ahead += wait
        before = server.counts[CONFIG]
        for source in sources:
            good(await source.observe())
        return server.counts[CONFIG] - before

    assert await asked_after(timedelta(0)) == 8
    early = await asked_after(timedelta(minutes=8, seconds=30))
    late = await asked_after(timedelta(minutes=1, seconds=30))
    assert early + late == 8
    assert early > 0 < late

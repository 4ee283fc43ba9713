"""A venue on a bad day under a firing alert: nothing is over because it could not be seen, and blindness is told."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.soak_figures import TASKS_BESIDE, TASKS_PER_ACCOUNT, TASKS_PER_CHANNEL
from monitor.domain.account import FailureKind
from monitor.domain.alert import Alert, AlertState
from monitor.domain.reading import Severity
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.daemon_kit import CALM, WARNING_MARK, House, SkippingClock, a_house, a_trader

FAULTS = {
    "hang": (Fault(kind=FaultKind.HANG), FailureKind.TIMEOUT),
    "banned": (Fault(kind=FaultKind.BANNED, retry_after_s=120), FailureKind.BANNED),
    "server_error": (Fault(kind=FaultKind.SERVER_ERROR, status=502), None),
    "overloaded": (Fault(kind=FaultKind.OVERLOADED), FailureKind.OVERLOADED),
    "web_page": (Fault(kind=FaultKind.HTML), None),
    "truncated": (Fault(kind=FaultKind.TRUNCATED), FailureKind.MALFORMED),
    "empty_list": (Fault(kind=FaultKind.EMPTY_LIST), FailureKind.MALFORMED),
    "empty_object": (Fault(kind=FaultKind.EMPTY_OBJECT), FailureKind.MALFORMED),
    "no_positions": (Fault(kind=FaultKind.NO_POSITIONS), FailureKind.IMPLAUSIBLE),
    "not_a_number": (Fault(kind=FaultKind.NOT_A_NUMBER), FailureKind.MALFORMED),
}


async def test_a_failing_venue_resolves_nothing_and_blindness_is_told_and_ends(tmp_path: Path) -> None:
    """Each fault at a venue of its own, all under one monitor; the calm account beside them is read all along."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house(tmp_path, speed=30))
        house.yaml.poll_interval, house.yaml.read_deadline = "10s", "40s"
        servers = {}
        for name in FAULTS:
            servers[name] = await stack.enter_async_context(PaperServer(house.engine, house.clock))
            a_trader(house.engine, name)
            house.yaml.account(name, server=servers[name])
        daemon = await stack.enter_async_context(house.running())
        sights = daemon.watching.sights
        house.mark(WARNING_MARK)
        for name in FAULTS:
            await house.until(lambda: house.fires("liquidation_distance", name), name)  # noqa: B023
            await house.until(lambda: not house.fires("blind", name), name)  # noqa: B023
        episodes = {name: _alert(house, "liquidation_distance", name).episode for name in FAULTS}
        for name, (fault, _) in FAULTS.items():
            servers[name].misbehave(fault)
        house.mark(CALM)  # those that cannot see do not learn that it is over
        for name, (_, kind) in FAULTS.items():
            await house.until(lambda: _is_critical(house, name), f"critical blindness of {name}")  # noqa: B023
            failure = sights[name].failure
            assert failure is not None, name
            assert kind in (None, failure.kind), (name, failure)
            risk = _alert(house, "liquidation_distance", name)
            assert (risk.state, risk.episode) == (AlertState.FIRING, episodes[name]), name
        assert sights["main"].failure is None
        assert not any(house.sink.about(f"resolved {name}: BTC") for name in FAULTS)
        for server in servers.values():
            server.clear_faults()
        for name in FAULTS:
            await house.until(lambda: not house.fires("liquidation_distance", name), f"{name}: over")  # noqa: B023
            await house.until(lambda: not house.fires("blind", name), f"{name}: sight")  # noqa: B023
            await house.until(lambda: house.sink.about(f"resolved {name}: is read again"), name)  # noqa: B023


def _alert(house: House, rule: str, account: str) -> Alert:
    alert = house.alert(rule, account)
    assert alert is not None, (rule, account)
    return alert


def _is_critical(house: House, account: str) -> bool:
    blind = house.alert("blind", account)
    return blind is not None and blind.is_firing and blind.severity is Severity.CRITICAL


async def test_a_stale_reply_is_not_believed(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=50) as house, house.running() as daemon:
        await house.reads(2)
        house.server.misbehave(Fault(kind=FaultKind.STALE, path="/fapi/v*/account"))
        house.server.misbehave(Fault(kind=FaultKind.STALE, path="/fapi/v*/positionRisk"))
        await house.reads(2)
        house.mark(WARNING_MARK)
        await house.until(lambda: daemon.watching.sights["main"].failure, "the stale reply's refusal")
        failure = daemon.watching.sights["main"].failure
        assert failure is not None
        assert failure.kind is FailureKind.IMPLAUSIBLE, failure
        await house.until(lambda: house.sink.about("no good read of|main: no good read"), "blindness")
        house.server.clear_faults()
        await house.until(lambda: house.sink.about("^WARNING main: BTC"), "the truth")


async def test_a_clock_that_is_off_is_put_right_and_the_reads_go_on(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        await house.reads(2)
        house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=120))
        await house.reads(5)
        assert daemon.watching.sights["main"].failure is None
        house.mark(WARNING_MARK)
        await house.until(lambda: house.sink.about("^WARNING main: BTC"))


async def test_a_wrong_key_is_named_and_the_other_account_is_watched(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        a_trader(house.engine, "good")
        house.yaml.account("good")
        house.yaml.accounts["main"] = house.yaml.accounts["main"].replace("api_key: main-key", "api_key: wrong-key")
        async with house.running() as daemon:
            await house.until(lambda: house.sink.about("cannot see main: auth"))
            house.mark(WARNING_MARK)
            await house.until(lambda: house.sink.about("WARNING good: BTC"))
            assert daemon.watching.sights["main"].snapshot is None
            await house.until(lambda: house.sink.about("CRITICAL main: no good read"))
            # A key that is refused is not tried at every poll: that gets an address banned.
            assert sum(request.api_key == "wrong-key" for request in house.server.requests) < 20


async def test_positions_that_are_really_gone_are_believed_at_the_second_read(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        await house.reads(2)
        position = house.engine.position("main", "BTCUSDT", next(iter(house.engine.positions("main"))).side)
        house.engine.close("main", "BTCUSDT", position.side, position.contracts, CALM)
        await house.until(lambda: daemon.watching.sights["main"].positions == 0, "flat")
        assert not house.store.alerts or not house.fires("unassessed")


async def test_a_silent_venue_from_the_start_is_critical_where_nobody_knows_the_positions(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=100) as house:
        house.server.misbehave(Fault(kind=FaultKind.HANG))
        house.yaml.read_deadline = "5s"
        async with house.running():
            await house.until(lambda: house.sink.about("cannot see main"))
            await house.until(lambda: house.sink.about("CRITICAL main: no good read"))


async def test_a_market_that_cannot_be_read_leaves_funding_unassessed_and_told(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=100) as house:
        house.yaml.rules["funding_exposure"] = "{warning: 0.5%, critical: 2%}"
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="/fapi/v1/premiumIndex"))
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="/fapi/v1/fundingInfo"))
        async with house.running():
            await house.until(lambda: house.fires("unassessed"), "the unassessed alert")
            await house.until(lambda: house.sink.about("WARNING main: .*not be (judged|assessed)|unassessed"))
            house.server.clear_faults()
            await house.until(lambda: not house.fires("unassessed"), "its end")


async def test_a_venue_that_hangs_when_all_that_is_known_has_aged_holds_no_more_tasks_than_a_soak_allows(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house, house.running():
        await house.reads()
        at_rest = _tasks()
        house.server.misbehave(Fault(kind=FaultKind.HANG))
        assert isinstance(house.clock, SkippingClock)
        house.clock.skip(7_200)
        most = at_rest

        def has_failed() -> bool:
            nonlocal most
            most = max(most, _tasks())
            return house.daemon.watching.sights["main"].failure is not None

        await house.until(has_failed, "a failed read")
    assert at_rest + 10 < most <= TASKS_PER_ACCOUNT + TASKS_PER_CHANNEL + TASKS_BESIDE


def _tasks() -> int:
    """The monitor's own."""
    coroutines = (str(task.get_coro()) for task in asyncio.all_tasks())
    return sum("RequestHandler" not in coroutine for coroutine in coroutines)

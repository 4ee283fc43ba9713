"""The monitor end to end: a venue read over HTTP, rules, outbox and a real sink; through a crash and a restart."""

import asyncio
from datetime import timedelta
from pathlib import Path

from monitor.domain.account import Side
from monitor.domain.alert import AlertState
from monitor.paper.book import EventKind
from monitor.paper.scenarios import AccountSpec, Driver, PositionSpec, load_scenario
from tests.daemon_kit import CALM, CRITICAL_MARK, SPEED, WARNING_MARK, SkippingClock, a_house, a_trader

# The collapse of the packaged crash, in seconds from its start.
LIQUIDATIONS = (EventKind.PARTIAL, EventKind.FULL)
COLLAPSE_FROM_S, COLLAPSE_TO_S = 1380, 1740


async def test_a_crash_is_told_as_critical_before_the_venue_liquidates(tmp_path: Path) -> None:
    leveraged = PositionSpec(symbol="AVAXUSDT", side=Side.LONG, contracts=1000, leverage=10, entry=24.5, isolated=True)
    account = AccountSpec(venue="binanceusdm", wallets={"USDT": 5_000.0}, positions=(leveraged,))
    scenario = load_scenario().model_copy(update={"accounts": {"main": account}})
    engine = scenario.build()
    key, secret = scenario.credentials("main")
    start = scenario.start + timedelta(seconds=COLLAPSE_FROM_S)
    async with a_house(tmp_path, engine=engine, start=start, speed=40) as house:
        driver = Driver(engine, scenario, house.clock)
        house.yaml.accounts["main"] = (
            f"{{venue: binanceusdm, base_url: '{house.server.base_url}', api_key: {key}, secret: {secret}}}"
        )
        house.yaml.poll_interval, house.yaml.rules, house.yaml.alerts = "10s", {}, {}
        house.yaml.more = "profile: retail\n"
        driver.step_to(house.clock.now())
        async with house.running():
            driving = asyncio.create_task(driver.run())
            await house.until(
                lambda: any(event.kind in LIQUIDATIONS for event in engine.events) or driver.finished,
                "the liquidation",
            )
            driver.stop()
            await driving
        liquidated_at = next(event.time for event in engine.events if event.kind in LIQUIDATIONS)
        assert liquidated_at < start + timedelta(seconds=COLLAPSE_TO_S)
        told_at = [
            at
            for at, (_, text) in zip(house.sink.times, house.sink.messages, strict=True)
            if "CRITICAL main: AVAX/USDT:USDT long" in text
        ]
        assert told_at
        assert told_at[0] < liquidated_at - timedelta(seconds=10)


async def test_an_episode_is_told_once_each_way(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running():
        await house.until(lambda: house.sink.about("perpwatch started"))
        assert "1 account, 1 open position" in house.sink.texts()[0]
        for mark, words in ((WARNING_MARK, "^WARNING"), (CRITICAL_MARK, "^worse: CRITICAL"), (CALM, "^resolved")):
            house.mark(mark)
            await house.until(lambda: house.sink.about(words), words)  # noqa: B023
        await house.reads(3)
        episode = house.sink.about(r"main: BTC/USDT:USDT long")
        assert [line.split()[0] for line in episode] == ["WARNING", "worse:", "resolved"]


async def test_a_restart_pages_nothing_again_and_goes_on_to_the_resolved(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        async with house.running():
            house.mark(WARNING_MARK)
            await house.until(lambda: house.sink.about("^WARNING main: BTC"))
            key = house.key("liquidation_distance")
            await house.until(lambda: house.sink.about("perpwatch started") and not house.store.undelivered)
            before = house.store.alert(key)
        async with house.running():
            assert house.store.alert(key).state is AlertState.FIRING
            await house.until(lambda: len(house.sink.about("perpwatch started")) == 2)
            assert "1 alert firing" in house.sink.texts()[-1]
            await house.reads(5)
            assert (house.store.alert(key).episode, house.store.alert(key).fired_at) == (
                before.episode,
                before.fired_at,
            )
            assert house.sink.about("BTC/USDT:USDT long 3.92%") == house.sink.about("^WARNING main: BTC")
            house.mark(CALM)
            await house.until(lambda: house.sink.about("^resolved main: BTC"))
        assert len(house.sink.about("^(still|worse|WARNING|CRITICAL) .*main: BTC")) == 1


async def test_what_went_worse_while_the_monitor_was_down_is_told_at_the_first_read(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        async with house.running():
            house.mark(WARNING_MARK)
            await house.until(lambda: house.sink.about("^WARNING main: BTC"))
            await house.until(lambda: not house.store.undelivered)
        house.mark(CRITICAL_MARK)
        async with house.running():
            await house.until(lambda: house.sink.about("^worse: CRITICAL main: BTC"))


async def test_a_long_time_down_is_told_and_an_account_gone_meanwhile_is_ended(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        a_trader(house.engine, "gone")
        house.yaml.account("gone")
        async with house.running():
            house.mark(CRITICAL_MARK)
            await house.until(lambda: house.sink.about("CRITICAL gone"))
            await house.until(lambda: house.fires("liquidation_distance") and not house.store.undelivered)
        del house.yaml.accounts["gone"]
        assert isinstance(house.clock, SkippingClock)
        house.clock.skip(700)
        async with house.running():
            await house.until(lambda: house.sink.about("perpwatch started, was blind for 1[12] ?min"))
            await house.until(lambda: house.sink.about("^resolved gone: .*removed from the configuration"))
            assert house.fires("liquidation_distance")


async def test_a_position_closed_by_its_owner_resolves_as_gone(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running():
        house.mark(WARNING_MARK)
        await house.until(lambda: house.sink.about("^WARNING main: BTC"))
        house.engine.close("main", "BTCUSDT", Side.LONG, 1.0, WARNING_MARK)
        await house.until(lambda: house.sink.about("^resolved main: BTC.*position gone"))


async def test_accounts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        for number in range(5):
            a_trader(house.engine, f"t{number}")
            house.yaml.account(f"t{number}")
        async with house.running() as daemon:
            house.mark(CRITICAL_MARK)
            for name in daemon.watching.plans:
                await house.until(lambda: house.fires("liquidation_distance", name), name)  # noqa: B023
            await house.until(lambda: sum(text.count("BTC/USDT:USDT long 1.24%") for text in house.sink.texts()) == 6)
        # The first goes at once, the rest as digests.
        assert len([text for text in house.sink.texts() if "CRITICAL" in text or "critical" in text]) <= 4


async def test_a_stop_sends_what_is_due_and_ends_in_time(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.channels["desk"] = f"{{url: '{house.sink.url('desk')}'}}"
        house.sink.hanging.add("desk")
        async with house.running() as daemon:
            house.mark(CRITICAL_MARK)
            await house.until(lambda: house.sink.about("CRITICAL main", "desk"))
            await house.until(lambda: house.sink.about("CRITICAL main", "phone"))
            started = asyncio.get_running_loop().time()
            daemon.stop.set()
            await house.task
            assert asyncio.get_running_loop().time() - started < 8 / SPEED + 2
        house.sink.hanging.clear()
        house.sink.messages.clear()
        async with house.running():
            await house.until(lambda: house.sink.about("possible repeat", "desk"), "what was left for the next start")
            await house.reads(2)
        assert not house.sink.about("CRITICAL main: BTC", "phone"), "what was delivered is not sent again"

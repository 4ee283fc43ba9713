"""Edits of the YAML under a running monitor: a good one counts at once, a bad one changes nothing and is told."""

import asyncio
import logging
from pathlib import Path

import pytest

from monitor.config.loader import load
from monitor.domain.notification import NoticeFacts
from monitor.store.records import Changes
from tests.daemon_kit import CALM, CRITICAL_MARK, WARNING_MARK, House, a_house, a_trader
from tests.unit.malformed_yaml import CASES, ENV, Case, channel_error, is_venue, mode_error, write_secret_files

# What an edit may take, and how much longer a busy machine may need to show it to a test.
PROMPT_S = 2.0
SLACK_S = 2.0


async def test_an_edit_counts_within_two_real_seconds(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.poll_interval = "1h"  # nothing but the edit wakes a read
        house.mark(WARNING_MARK)
        house.yaml.rules["liquidation_distance"] = "{warning: 2%, critical: 1%}"
        async with house.running():
            await house.reads(1)
            started = asyncio.get_running_loop().time()
            house.yaml.rules["liquidation_distance"] = "{warning: 5%, critical: 3%}"
            house.write()
            await house.until(lambda: house.fires("liquidation_distance"), "the new threshold")
            assert asyncio.get_running_loop().time() - started < PROMPT_S + SLACK_S


async def test_a_lowered_threshold_fires_and_a_raised_one_resolves_without_paging_what_fires(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.rules["margin_ratio"] = "{warning: 50%, critical: 80%}"
        async with house.running():
            house.mark(WARNING_MARK)  # a margin ratio of 10 %
            await house.until(lambda: house.sink.about("^WARNING main: BTC"))
            house.yaml.rules["margin_ratio"] = "{warning: 8%, critical: 80%}"
            house.write()
            await house.until(lambda: house.fires("margin_ratio"), "the new threshold")
            await house.until(lambda: house.sink.about("^WARNING main: .*margin ratio"))
            house.yaml.rules["margin_ratio"] = "{warning: 10%, critical: 80%, hysteresis: 10%}"
            house.write()
            await house.reads(4)
            assert house.fires("margin_ratio"), "inside the hysteresis band nothing is over"
            house.yaml.rules["margin_ratio"] = "{warning: 40%, critical: 80%}"
            house.write()
            await house.until(lambda: house.sink.about("^resolved main: .*margin ratio"))
            assert len(house.sink.about("main: BTC")) == 1
            assert len(house.sink.about("margin ratio.*main|main.*margin ratio")) == 2
            assert house.fires("liquidation_distance")


async def test_new_words_for_a_rule_that_fires_are_no_news(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        house.mark(CRITICAL_MARK)
        await house.until(lambda: house.sink.about("^CRITICAL main: BTC"))
        for critical in ("2.9%", "2.8%", "2.7%"):
            house.yaml.rules["liquidation_distance"] = f"{{warning: 5.5%, critical: {critical}}}"
            house.write()
            old = daemon.settings
            await house.until(lambda: daemon.settings is not old)  # noqa: B023
            await house.reads(2)
        assert len(house.sink.about("main: BTC")) == 1


async def test_a_bad_edit_is_told_once_with_its_place_and_its_correction_too(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        await house.reads(1)
        plans, settings = daemon.watching.plans, daemon.settings
        good = house.path.read_text()
        line = next(number for number, text in enumerate(good.splitlines(), 1) if "liquidation_distance" in text)
        column = good.splitlines()[line - 1].index("5%") + 1
        house.path.write_text(good.replace("warning: 5%", "warning: 5"))
        await house.until(lambda: house.sink.about("configuration not taken"), "the bad edit's message")
        assert house.sink.about(f"perpwatch.yaml:{line}:{column}: rules.liquidation_distance.warning:")
        assert house.sink.about("The old rules go on")
        house.path.touch()
        await house.reads(5)
        assert daemon.watching.plans is plans
        assert daemon.settings is settings
        house.path.write_text(good)
        await house.until(lambda: house.sink.about("configuration taken"), "the good edit's message")
        await house.reads(3)
        assert len(house.sink.about("configuration not taken")) == 1
        assert len(house.sink.about("configuration taken")) == 1
        assert dict(daemon.watching.plans) == dict(plans)


@pytest.mark.parametrize("how", ["deleted", "emptied", "nobody hears", "folder"])
async def test_a_file_that_cannot_be_run_by_leaves_the_monitor_as_it_is(tmp_path: Path, how: str) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        await house.reads(1)
        settings = daemon.settings
        if how == "emptied":
            house.path.write_text("")
        elif how == "nobody hears":
            text = house.path.read_text()
            house.path.write_text(text.replace("/phone'}", "/phone', severities: [warning]}"))
        else:
            house.path.unlink()
            if how == "folder":
                house.path.mkdir()
        await house.until(lambda: house.sink.about("configuration not taken"), "the bad edit's message")
        house.mark(CRITICAL_MARK)
        await house.until(lambda: house.sink.about("^CRITICAL main: BTC"))
        assert daemon.settings is settings
        if how == "folder":
            house.path.rmdir()


def _class_heads() -> list[Case]:
    """One case of each tenth class, for the way through the real watcher."""
    firsts = {case.error_class: case for case in reversed(CASES)}
    return list(firsts.values())[::10]


async def test_no_malformed_file_changes_a_running_monitor(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    write_secret_files(tmp_path)
    async with a_house(tmp_path) as house:
        house.mark(WARNING_MARK)
        async with house.running() as daemon:
            await house.until(lambda: house.fires("liquidation_distance"))
            plans, settings, channels = daemon.watching.plans, daemon.settings, daemon._channels
            told = _notices(house)
            draft = tmp_path / "case.yaml"
            reads = daemon.watching.sights["main"].last_read_at
            for case in CASES:
                draft.write_bytes(case.content)
                before = len(told)
                await daemon.reload(
                    lambda: load(draft, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=ENV)
                )
                assert len(told) == before + 1, f"{case}: told {told[before:]}"
                assert f"{draft}:{case.line}:{case.column}: " in told[-1], str(case)
                assert (daemon.watching.plans, daemon.settings, daemon._channels) == (plans, settings, channels)
                assert daemon.watching.plans is plans
            assert len(told) == len(CASES) >= 200
            assert daemon.watching.sights["main"].last_read_at != reads, "reads go on meanwhile"
            await house.reads(2)
            assert house.fires("liquidation_distance")
            assert len(house.sink.about("^WARNING main: BTC")) == 1


async def test_malformed_files_through_the_watcher_itself(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        settings = daemon.settings
        told = _notices(house)
        for case in _class_heads():
            before = len(told)
            house.path.write_bytes(case.content)
            await house.until(lambda: len(told) == before + 1, str(case))  # noqa: B023
            assert "configuration not taken" in told[-1]
        assert daemon.settings is settings
        await house.reads(2)


def _notices(house: House) -> list[str]:
    """What is told of the configuration from now on: title and lines of each message to the phone."""
    told: list[str] = []
    apply = house.store.apply

    async def spy(changes: Changes) -> None:
        for row in changes.enqueue:
            if isinstance(row.facts, NoticeFacts) and row.key.subject == "config":
                told.append("\n".join((row.facts.title, *row.facts.lines)))
        await apply(changes)

    house.store.apply = spy  # type: ignore[method-assign]
    return told


async def test_accounts_come_and_go_without_disturbing_the_others(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        a_trader(house.engine, "second")
        await house.reads(1)
        sight = daemon.watching.sights["main"]
        house.yaml.account("second")
        house.write()
        await house.until(lambda: "second" in daemon.watching.sights, "the new account")
        house.mark(CRITICAL_MARK)
        await house.until(lambda: house.sink.about("CRITICAL second: BTC"))
        assert daemon.watching.sights["main"] is sight
        del house.yaml.accounts["second"]
        house.write()
        await house.until(lambda: house.sink.about("^resolved second: .*removed from the configuration"))
        requests = sum(request.api_key == "second-key" for request in house.server.requests)
        await house.reads(3)
        assert sum(request.api_key == "second-key" for request in house.server.requests) == requests
        assert house.fires("liquidation_distance")
        assert set(daemon.watching.sights) == {"main"}


async def test_many_accounts_edited_at_once_never_trip_the_loop_that_judges_their_age(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=60) as house:
        house.yaml.poll_interval = "20s"
        for number in range(4):
            a_trader(house.engine, f"t{number}")
            house.yaml.account(f"t{number}")
        house.mark(CRITICAL_MARK)
        async with house.running() as daemon:
            for deadline in range(60, 66):
                for number in range(4):
                    house.yaml.account(f"t{number}", f", read_deadline: {deadline}s")
                house.write()
                old = daemon.settings
                await house.until(lambda: daemon.settings is not old)  # noqa: B023
            for number in range(4):
                await house.until(lambda: house.fires("liquidation_distance", f"t{number}"))  # noqa: B023


async def test_a_new_channel_hears_what_comes_and_a_removed_one_is_owed_nothing(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.running() as daemon:
        house.mark(WARNING_MARK)
        await house.until(lambda: house.sink.about("^WARNING main: BTC"))
        house.yaml.channels["desk"] = f"{{url: '{house.sink.url('desk')}'}}"
        house.write()
        await house.until(lambda: "desk" in daemon.settings.channels, "the new channel")
        house.mark(CRITICAL_MARK)
        await house.until(lambda: house.sink.about("CRITICAL main: BTC", "desk"))
        await house.until(lambda: house.sink.about("^worse: CRITICAL main: BTC", "phone"))
        assert not house.sink.about("worse", "desk"), "for the desk it is the first"
        del house.yaml.channels["phone"]
        house.write()
        await house.until(lambda: "phone" not in daemon.settings.channels)
        heard = len(house.sink.texts("phone"))
        house.mark(CALM)
        await house.until(lambda: house.sink.about("^resolved main: BTC", "desk"))
        await house.reads(5)
        assert len(house.sink.texts("phone")) == heard
        assert not house.sink.about("undelivered messages were closed", "desk")


async def test_what_a_removed_channel_did_not_take_is_told_through_the_others(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.channels["desk"] = f"{{url: '{house.sink.url('desk')}'}}"
        house.sink.status["desk"] = 500
        async with house.running() as daemon:
            house.mark(CRITICAL_MARK)
            await house.until(lambda: house.sink.about("CRITICAL main: BTC", "phone"))
            await house.until(lambda: any(row.target == "desk" for row in house.store.undelivered.values()))
            del house.yaml.channels["desk"]
            house.write()
            await house.until(lambda: house.sink.about("channel desk was removed", "phone"))
            await house.until(lambda: not any(row.target == "desk" for row in house.store.undelivered.values()))
            assert daemon.settings.channels.keys() == {"phone"}


async def test_an_edit_made_while_the_monitor_starts_is_an_edit_all_the_same(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.mark(WARNING_MARK)
        house.yaml.rules["liquidation_distance"] = "{warning: 2%, critical: 1%}"
        async with house.running() as daemon:
            house.yaml.rules["liquidation_distance"] = "{warning: 5%, critical: 1%}"
            house.write()
            await house.until(lambda: house.fires("liquidation_distance"))
            assert daemon.settings.rules["liquidation_distance"].model_dump()["warning"] == 0.05

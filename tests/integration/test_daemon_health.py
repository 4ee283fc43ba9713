"""The health page of a running monitor, over HTTP: green when all is well, red with the check that is not."""

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import CRITICAL_MARK, a_house, health_page, until_red


@pytest.fixture
def port(unused_tcp_port_factory: Any) -> int:
    return int(unused_tcp_port_factory())


def _disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_it_is_green_then_red_for_stale_reads_and_green_again(tmp_path: Path, port: int) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {port}}}\n"
        async with house.running(serve=True):
            await house.reads(1)
            page = await until_red(house, port, set())
            assert (page["status"], page["ok"]) == (200, True)
            assert {check["name"] for check in page["checks"]} == {
                "reads:main", "loop", "database", "outbox", "channel:phone",
            }  # fmt: skip
            house.server.misbehave(Fault(kind=FaultKind.OVERLOADED))
            page = await until_red(house, port, {"reads:main"})
            assert (page["status"], page["ok"]) == (503, False)
            assert (await health_page(port, "/livez"))[0] == 200, "an outage of the venue restarts nothing"
            house.server.clear_faults()
            await until_red(house, port, set())


async def test_it_is_red_for_a_channel_that_takes_nothing_and_for_what_waits(tmp_path: Path, port: int) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {port}}}\n"
        house.yaml.channels["desk"] = f"{{url: '{house.sink.url('desk')}'}}"
        house.sink.status["desk"] = 503
        house.mark(CRITICAL_MARK)
        async with house.running(serve=True):
            await until_red(house, port, {"channel:desk"})
            page = await until_red(house, port, {"channel:desk", "outbox"})
            assert page["status"] == 503
            house.sink.status.clear()
            await until_red(house, port, set())


async def test_it_is_red_while_the_database_does_not_write_and_nothing_is_lost(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {port}}}\n"
        async with house.running(serve=True):
            await house.reads(1)
            monkeypatch.setattr(house.store._database, "write", _disk_full)
            house.mark(CRITICAL_MARK)
            page = await until_red(house, port, {"database"})
            assert "has not written since" in str(page["checks"])
            await house.until(lambda: house.sink.about("CRITICAL main: BTC"), "an alert without a database")
            monkeypatch.undo()
            await until_red(house, port, set())
        with sqlite3.connect(house.database) as database:
            rows = database.execute("SELECT rule, state FROM outbox WHERE rule = 'liquidation_distance'").fetchall()
        database.close()
        assert rows == [("liquidation_distance", "sent")]


async def test_an_account_that_is_removed_is_not_asked_for_any_more(tmp_path: Path, port: int) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {port}}}\n"
        house.yaml.account("stranger")  # the venue knows no such key
        async with house.running(serve=True):
            await until_red(house, port, {"reads:stranger"})
            del house.yaml.accounts["stranger"]
            house.write()
            await until_red(house, port, set())
            _, page = await health_page(port)
            assert "reads:stranger" not in {check["name"] for check in page["checks"]}

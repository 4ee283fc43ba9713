"""`perpwatch once` beside what a monitor remembers: stop orders at the venue, and what happened to positions lately."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.account import Side
from monitor.paper.faults import Fault, FaultKind
from monitor.rules.book import RULE_KINDS
from tests.daemon_kit import CALM, House, Shell, a_house
from tests.integration.test_cli_commands import _json

ALGO_ORDERS = "/fapi/v1/openAlgoOrders"
STOP = {
    "algoId": 1,
    "orderType": "STOP_MARKET",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "positionSide": "BOTH",
    "quantity": "0.5",
    "triggerPrice": "91500.0",
    "closePosition": False,
    "reduceOnly": True,
}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    started = Shell(tmp_path)
    yield started
    started.close()


async def main_of(shell: Shell, house: House) -> dict[str, Any]:
    _, accounts = await _json(shell, "-c", house.path)
    found: dict[str, Any] = accounts["main"]
    return found


async def test_stop_orders_are_listed_or_said_not_to_be_read(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.write()
        assert (await main_of(shell, house))["orders"] == []
        house.server.set_profile("main", listed={ALGO_ORDERS: (STOP,)})
        (order,) = (await main_of(shell, house))["orders"]
        assert (order["instrument"], order["side"], order["kind"], order["trigger_price"], order["size"]) == (
            "BTC/USDT:USDT",
            "long",
            "stop",
            91_500.0,
            0.5,
        )
        table = await shell("once", "-c", house.path)
        assert "  stop of BTC/USDT:USDT long at 91,500: 0.5 BTC\n" in table.out
        assert "unassessed" not in table.out
        house.yaml.rules["stop_missing"] = "{warning: any}"
        house.write()
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, path=ALGO_ORDERS))
        table = await shell("once", "-c", house.path)
        assert table.code == 0, "positions and margins were read"
        assert "  unknown  stop_missing of BTC/USDT:USDT long: " in table.out
        assert "unassessed" not in table.out, "what is unknown has a line of its own"
        assert "stop orders: not read (overloaded)" in table.out
        assert (await main_of(shell, house))["orders"] is None


async def test_what_changed_since_a_monitor_last_read_the_account_is_told(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.more = f"database: {house.database}\n"
        house.write()
        assert (await main_of(shell, house))["events"] is None, "nothing was known before"
        async with house.running():
            await house.reads(1)
        house.engine.close("main", "BTCUSDT", Side.LONG, 1.0, CALM)
        house.engine.open("main", "BTCUSDT", Side.SHORT, 0.2, CALM, 10)
        (event,) = (await main_of(shell, house))["events"]
        assert (event["kind"], event["subject"]) == ("flipped", "BTC/USDT:USDT short")
        table = await shell("once", "-c", house.path)
        assert "UTC  BTC/USDT:USDT short flipped (0.2 contracts, 20,000 USDT)" in table.out
        async with house.running():
            await house.reads(1)
            assert (await main_of(shell, house))["events"] == [
                {**event, "at": (await main_of(shell, house))["events"][0]["at"]}
            ], "a monitor that runs remembers it"


async def test_a_liquidation_since_then_is_told_by_the_venues_records(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.more = f"database: {house.database}\n"
        async with house.running():
            await house.reads(1)
        house.engine.advance(house.clock.now())
        house.mark(87_000.0)
        kinds = {event["kind"] for event in (await main_of(shell, house))["events"]}
        assert kinds == {"gone", "liquidated"}


async def test_a_level_that_is_told_as_info_is_shown_as_such(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.rules = {**dict.fromkeys(RULE_KINDS, "false"), "take_profit": "{levels: [5%], severity: info}"}
        house.write()
        house.mark(106_000.0)
        for command in (("once",), ("explain", "main")):
            ended = await shell(*command, "-c", house.path)
            assert ended.code == 0, ended.err
            assert "  info     take_profit of BTC/USDT:USDT long +5%: 6%\n" in ended.out

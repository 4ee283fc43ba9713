"""`perpwatch stress` on accounts read over HTTP by the real ccxt class: the exchange says who is liquidated, where."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.account import Side
from monitor.paper.book import EventKind
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import House, Shell, a_house, a_market


def is_liquidated(engine: Engine, account: str) -> bool:
    return any(e.account == account and e.kind in (EventKind.PARTIAL, EventKind.FULL) for e in engine.events)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    started = Shell(tmp_path)
    yield started
    started.close()


def stress_house_engine() -> Engine:
    """`main` holds two coins across one pool, and one isolated."""
    engine = a_market()
    engine.add_account("main", api_key="main-key", secret="main-secret")
    engine.deposit("main", "USDT", 20_000)
    engine.open("main", "BTCUSDT", Side.LONG, 0.3, 100_000, 10)
    engine.open("main", "ETHUSDT", Side.LONG, 10, 4_000, 10)
    return engine


async def stressed(shell: Shell, house: House, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = await shell("stress", "--json", "-c", house.path, *arguments)
    found: dict[str, Any] = json.loads(ended.out)
    return ended.code, found


async def test_stress_says_what_the_exchange_then_does(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None, engine=stress_house_engine()) as house:
        house.yaml.account("broken")
        house.write()
        house.server.misbehave(Fault(kind=FaultKind.OVERLOADED, api_key="broken-key"))
        code, found = await stressed(shell, house, "--shock", "BTC=-20%", "--shock", "ETH=-30%")
        assert code == 2, "one account was not read"
        main, broken = found["accounts"]
        assert broken["failure"]["kind"] == "overloaded"
        assert broken["pools"] is None
        (pool,) = main["pools"]
        lived, died = pool["shocks"]["yours"], pool["shocks"]["2020-03-12"]
        assert (lived["liquidated"], died["liquidated"]) == (False, True)
        first = {shock["name"]: shock["first_liquidated"] for shock in found["shocks"]}
        assert first["yours"] is None
        assert first["2020-03-12"] == {
            "account": "main",
            "pool": "cross:USDT",
            "share_of_shock": died["share_of_shock"],
            "btc_move": pytest.approx(-0.5 * died["share_of_shock"]),
        }
        house.engine.set_marks({"BTCUSDT": 80_000.0, "ETHUSDT": 2_800.0})
        assert not is_liquidated(house.engine, "main")
        truth = house.engine.pool("main", "cross:USDT")
        assert lived["equity"] == pytest.approx(truth.equity)
        assert lived["margin_ratio"] == pytest.approx(truth.maintenance_margin / truth.equity)
        move = died["btc_move"]
        house.engine.set_marks({"BTCUSDT": 100_000 * (1 + move + 1e-5), "ETHUSDT": 4_000 * (1 + move + 1e-5)})
        assert not is_liquidated(house.engine, "main")
        house.engine.set_marks({"BTCUSDT": 100_000 * (1 + move - 1e-5), "ETHUSDT": 4_000 * (1 + move - 1e-5)})
        assert is_liquidated(house.engine, "main")


async def test_the_tables_of_stress_name_who_goes_first_and_wrong_usage_is_refused(
    tmp_path: Path, shell: Shell
) -> None:
    async with a_house(tmp_path, speed=None, engine=stress_house_engine()) as house:
        house.write()
        table = await shell("stress", "-c", house.path, "--shock", "BTC=-20%", "--shock", "BCT=-1%")
        assert table.code == 0, table
        assert "2020-03-12       main, cross:USDT  at BTC -2" in table.out
        assert "2025-10-10: BTC -16%, ETH -16%, SOL -31%, other coins -47%" in table.out
        assert "no position or pool in BCT" in table.out
        house.server.requests.clear()
        for wrong in ("BTC", "BTC=0.5", "BTC=-100%", "ETH=-20 %", "BTC=nan%"):
            ended = await shell("stress", "-c", house.path, "--shock", wrong)
            assert (ended.code, ended.out) == (2, ""), wrong
            assert "--shock" in ended.err
        assert not house.server.requests, "nothing is read for what cannot be meant"

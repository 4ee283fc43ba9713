"""Rules over all accounts, by the running monitor and the commands, on the paper exchange's own truth: a long of a
linear contract in one account, a short of an inverse one in another, at two venues."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.account import Side
from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import CALM, House, Shell, a_house, a_market, a_trader
from tests.paper import inverse

INVERSE = "BTCUSD_PERP"


def an_account_in_coins(house: House, name: str) -> None:
    house.yaml.accounts[name] = (
        f"{{venue: binancecoinm, base_url: '{house.server.base_url}', api_key: {name}-key, secret: {name}-secret}}"
    )


@asynccontextmanager
async def a_pair(folder: Path, **speed: Any) -> AsyncIterator[House]:
    engine = a_market()
    a_trader(engine)
    engine.add_contract(inverse(step=1, tick=0.1))
    engine.set_mark(INVERSE, CALM)
    engine.add_account("fund", api_key="fund-key", secret="fund-secret")
    engine.deposit("fund", "BTC", 0.2)
    engine.open("fund", INVERSE, Side.SHORT, 1_000, CALM, 10)
    async with a_house(folder, engine=engine, **speed) as house:
        house.yaml.rules = dict.fromkeys(house.yaml.rules, "false")
        an_account_in_coins(house, "fund")
        yield house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_pair(tmp_path) as opened:
        yield opened


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    started = Shell(tmp_path)
    yield started
    started.close()


def move(house: House, price: float) -> None:
    house.engine.set_marks({"BTCUSDT": price, INVERSE: price})


async def reads(house: House, count: int = 3) -> None:
    for account in ("main", "fund"):
        await house.reads(count, account)


async def test_a_leg_that_the_venue_took_at_one_of_two_venues_is_told_with_what_restores_the_hedge(
    house: House,
) -> None:
    house.yaml.rules["hedge"] = "{warning: 10%, critical: 25%}"
    async with house.running():
        await house.until(lambda: house.store.hedges)
        move(house, 96_000)
        await reads(house)
        assert not house.sink.about("hedge"), "both sides stand, whatever the price"
        house.engine.adl("main", "BTCUSDT", Side.LONG)
        await house.until(lambda: house.fires("hedge", "*"))
        await house.until(lambda: house.sink.about("^CRITICAL portfolio: BTC hedge lost its long side"))
        alert = house.alert("hedge", "*")
        assert alert is not None
        assert alert.inputs["gone"] == "BTC/USDT:USDT long of main, auto-deleveraged"
        assert alert.inputs["restore_size"] == pytest.approx(1.0)
        house.engine.open("main", "BTCUSDT", Side.LONG, 1.0, 96_000, 10)
        await house.until(lambda: house.sink.about("^resolved portfolio: BTC hedge"))


async def test_a_hedge_closed_at_both_venues_is_no_news_and_one_lost_over_a_restart_is(house: House) -> None:
    house.yaml.rules["hedge"] = "{warning: 10%, critical: 25%}"
    async with house.running():
        await house.until(lambda: house.store.hedges)
        house.engine.close("main", "BTCUSDT", Side.LONG, 1.0, CALM)
        house.engine.close("fund", INVERSE, Side.SHORT, 1_000, CALM)
        await reads(house, 4)
        assert not house.sink.about("hedge")
        house.engine.open("main", "BTCUSDT", Side.LONG, 1.0, CALM, 10)
        house.engine.open("fund", INVERSE, Side.SHORT, 1_000, CALM, 10)
        await house.until(lambda: any(hedges.tracks for hedges in house.store.hedges.values()))
    house.engine.close("fund", INVERSE, Side.SHORT, 1_000, CALM)
    async with house.running():
        await house.until(lambda: house.sink.about("^CRITICAL portfolio: BTC hedge lost its short side"))


async def test_what_all_accounts_hold_is_told_and_a_venue_that_fails_resolves_nothing(house: House) -> None:
    """100,000 dollars each way on 12,000 and 20,000."""
    house.yaml.rules["total_exposure"] = "{warning: 5x, critical: 9x, keep_firing_for: 0s}"
    async with house.running():
        await house.until(lambda: house.sink.about("^WARNING portfolio: all positions are"))
        alert = house.alert("total_exposure", "*")
        assert alert is not None
        worth = house.engine.pool("main", "cross:USDT").equity + house.engine.pool("fund", "cross:BTC").equity * CALM
        assert alert.last_value == pytest.approx(200_000 / worth)
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, api_key="fund-key"))
        await house.until(lambda: house.fires("blind", "fund"))
        house.engine.close("main", "BTCUSDT", Side.LONG, 0.9, CALM)
        await house.reads(5, "main")
        assert house.fires("total_exposure", "*")
        assert not house.sink.about("portfolio.*cannot be judged")
        house.server.clear_faults()
        await house.until(lambda: house.sink.about("^resolved portfolio: exposure"))


async def test_commands_that_look_once_show_all_accounts_together(tmp_path: Path, shell: Shell) -> None:
    async with a_pair(tmp_path, speed=None) as house:
        await _look(house, shell)


async def _look(house: House, shell: Shell) -> None:
    house.yaml.rules |= {
        "total_exposure": "{warning: 5x, critical: 9x}",
        "hedge": "{warning: 10%}",
        "leverage": "{warning: 4x}",
    }
    house.write()
    table = await shell("once", "-c", house.path)
    assert table.code == 0, table.err
    assert "portfolio, all accounts together\n  warning  total_exposure of portfolio: " in table.out
    assert "  clear    hedge of BTC: 0%\n" in table.out
    told = json.loads((await shell("once", "--json", "-c", house.path)).out)["portfolio"]
    assert {(reading["key"]["rule"], reading["key"]["subject"]) for reading in told} == {
        ("total_exposure", "*"),
        ("hedge", "BTC"),
        ("unassessed", "*"),
    }
    lines = (await shell("explain", "portfolio", "-c", house.path)).out.splitlines()
    assert lines[0].startswith("portfolio on all venues, ")
    assert "  silent   leverage: it judges each account by itself" in lines
    assert any(line.strip().startswith("numbers   200,000 / ") for line in lines), lines
    narrowed = json.loads((await shell("explain", "*", "eth", "--json", "-c", house.path)).out)
    assert [reading["key"]["rule"] for reading in narrowed["readings"]] == ["total_exposure"]
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, api_key="fund-key"))
    ended = await shell("explain", "portfolio", "-c", house.path)
    assert ended.code == 2
    assert "not known of fund: overloaded" in ended.out

"""Rules on what is remembered, by the monitor as it runs: best marks, levels and peaks outlive it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.domain.account import Side
from monitor.domain.reading import Inputs
from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import CALM, House, a_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        opened.yaml.rules = dict.fromkeys(opened.yaml.rules, "false")
        yield opened


def inputs_of(house: House, rule: str) -> Inputs:
    """What the alert says; a message may be one line of a digest."""
    alert = house.alert(rule)
    assert alert is not None
    return alert.inputs


async def test_a_best_mark_survives_a_restart_and_ends_with_its_position(house: House) -> None:
    house.yaml.rules["trailing_stop"] = "{warning: 3%, critical: 5%}"
    async with house.running():
        await house.reads(1)
        house.mark(110_000)
        await house.reads(2)
        house.mark(107_000)
        await house.reads(2)
        assert not house.fires("trailing_stop"), "2.7 % back"
    house.mark(104_000)
    async with house.running():
        await house.until(lambda: house.sink.about("^CRITICAL main: BTC"))
        assert house.sink.about(r"BTC/USDT:USDT long 5\.45% back from its best mark")
        assert inputs_of(house, "trailing_stop")["best_mark"] == 110_000
        house.engine.close("main", "BTCUSDT", Side.LONG, 1.0, 104_000)
        await house.until(lambda: house.sink.about("^resolved main: BTC"))
        house.engine.open("main", "BTCUSDT", Side.LONG, 1.0, 104_000, 10)
        await house.reads(3)
        assert not house.fires("trailing_stop"), "another position has a best mark of its own"


async def test_a_level_is_told_once_over_a_restart(house: House) -> None:
    house.yaml.rules["take_profit"] = "{levels: [5%, 10%]}"
    async with house.running():
        await house.reads(2)
        assert not house.sink.about("take-profit")
        house.mark(106_000)
        await house.until(lambda: house.sink.about(r"^WARNING main: BTC/USDT:USDT long \+5% reached"))
        await house.until(lambda: not house.store.undelivered)
        house.mark(CALM)
        await house.reads(4)
    async with house.running():
        house.mark(107_000)
        await house.reads(3)
        house.mark(111_000)
        await house.until(lambda: house.sink.about(r"\+10% reached"))
    assert len(house.sink.about(r"\+5% reached")) == 1
    assert not house.sink.about("resolved")


async def test_a_drawdown_is_of_the_peak_before_the_restart_and_a_deposit_that_nobody_tells_makes_it_unknown(
    house: House,
) -> None:
    house.yaml.rules["drawdown"] = "{warning: 5%, critical: 10%}"
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, path="/fapi/v1/income"))
    async with house.running():
        house.mark(101_000)
        await house.reads(2)
    house.mark(99_500)
    async with house.running():
        peak = house.engine.pool("main", "cross:USDT").equity + 1_500
        await house.until(lambda: house.sink.about("^CRITICAL main: .* below its peak of the day"))
        told = inputs_of(house, "drawdown")
        assert told["peak_equity"] == pytest.approx(peak)
        assert told["lost"] == pytest.approx(1_500)
        house.engine.deposit("main", "USDT", 5_000)
        await house.until(lambda: house.sink.about("cannot be judged"))
        assert str(inputs_of(house, "unassessed")["why"]).startswith("equity rose by 5,000.00 USD between ")
        assert house.fires("drawdown"), "unknown is not safe"


async def test_a_deposit_that_the_venue_tells_leaves_a_drawdown_what_it_was(house: House) -> None:
    house.yaml.rules["drawdown"] = "{warning: 5%, critical: 10%}"
    async with house.running():
        await house.reads(2)
        house.mark(98_500)
        await house.until(lambda: house.sink.about("^CRITICAL main: .* below its peak of the day"))
        lost = inputs_of(house, "drawdown")["lost"]
        house.engine.advance(house.clock.now())
        house.engine.deposit("main", "USDT", 5_000)
        await house.until(lambda: inputs_of(house, "drawdown")["lost"] != lost)
        told = inputs_of(house, "drawdown")
    # The same share of more.
    equity = house.engine.pool("main", "cross:USDT").equity
    assert told["equity"] == pytest.approx(equity)
    assert told["lost"] == pytest.approx(1_500 / (equity - 5_000) * equity)
    assert not house.sink.about("cannot be judged")

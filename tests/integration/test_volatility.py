"""Candles become studies by the real readers and in the running monitor: caps on leverage and stops in true ranges."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import math
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import FailureKind, Instrument, Side
from monitor.domain.reading import Need, Severity, Verdict
from monitor.domain.study import Candle, Frame, Study
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import binanceusdm
from monitor.paper.engine import Engine
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.daemon_kit import CALM, House, a_house
from tests.reading import Open, clock, engine, exchanges, good, open_account, server
from tests.studies import candles

# Of a day, whichever frame one looks at.
SIGMA = 0.03


class Told:
    """What the venue tells of candles: prices that go up and down by SIGMA in turns."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.failure: ReadError | None = None

    async def read(
        self, _venue: object, _client: object, _raw: str, _about: Instrument, frame: Frame, count: int
    ) -> Sequence[Candle]:
        if self.failure is not None:
            raise self.failure
        step, sigma = (timedelta(days=1), SIGMA) if frame is Frame.DAY else (timedelta(hours=1), SIGMA / 24**0.5)
        end = self.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        while frame is Frame.HOUR and end - step > self.now:
            end -= step
        return candles(frame, ([sigma, -sigma] * count)[: count - 1], price=CALM, end=end)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()

    async def read_candles(*asked: Any) -> Sequence[Candle]:
        return await made.read(*asked)

    monkeypatch.setattr(type(binanceusdm.VENUE), "read_candles", read_candles)
    return made


async def test_what_a_day_moves_over_the_equity_is_what_the_exchange_holds(
    told: Told, engine: Engine, open_account: Open
) -> None:
    """True, and false once what the message asks for was paid in."""
    source = open_account("hedger", needs=frozenset({Need.CANDLES}))
    rules = {"volatility_leverage": a_rule("volatility_leverage", **PROFILES["retail"]["volatility_leverage"])}
    for severity in (Severity.CRITICAL, None):
        await source.gathered(good(await source.observe()))
        snapshot = good(await source.observe())
        context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
        (reading,) = evaluate_rules(rules, context)
        # All coins of this venue move as one, so that what counts is what is held net.
        net = sum(
            position.notional * (1 if position.side is Side.LONG else -1)
            for position in engine.positions("hedger")
            if position.symbol.endswith("USDT")
        )
        equity = sum(pool.equity for pool in engine.pools("hedger") if pool.asset == "USDT")
        study = context.study_of(snapshot.positions[0].instrument)
        assert isinstance(study, Study)
        assert study.sigma == pytest.approx(SIGMA)
        assert reading.value == pytest.approx(abs(net) * SIGMA / equity, rel=1e-3)
        assert reading.severity is severity
        if severity is None:
            assert reading.verdict is Verdict.CLEAR
        else:
            added = reading.inputs["add_collateral"]
            assert isinstance(added, float)
            # The venue rounds to eight decimals.
            engine.deposit("hedger", "USDT", added + 0.01)


@pytest.fixture
async def house(tmp_path: Path, told: Told) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        told.now = opened.clock.now()
        opened.yaml.rules = dict.fromkeys(opened.yaml.rules, "false")
        yield opened


async def test_a_monitor_that_starts_says_nothing_of_candles_that_are_on_their_way(house: House) -> None:
    """Though whatever cannot be judged is told at once here."""
    house.yaml.rules |= {
        "volatility_leverage": "{warning: 15%, critical: 50%}",
        "trailing_stop": "{warning: 2 ATR, critical: 3 ATR}",
        "liquidation_distance": "{warning: 5%, critical: 3%, warning_sigmas: 2 sigma}",
    }
    async with house.running():
        # 100,000 dollars of a coin that moves 3 % a day on an equity of 12,000.
        await house.until(lambda: house.fires("volatility_leverage"), "what a day moves is told")
        await house.reads(3)
        assert not house.sink.about("cannot be judged")
        assert not house.fires("trailing_stop")
        house.mark(CALM * 0.93)
        await house.until(lambda: house.fires("trailing_stop"), "a stop in true ranges")
        alert = house.alert("trailing_stop")
        assert alert is not None
        assert alert.severity is Severity.WARNING
        # A day that rises by SIGMA and the next that falls back: as far as that each.
        assert alert.inputs["stop_price"] == pytest.approx(CALM - 2 * (math.exp(SIGMA) - 1) * CALM, rel=1e-3)


async def test_candles_that_cannot_be_read_are_told_and_those_that_are_never_told_are_not(
    house: House, told: Told
) -> None:
    house.yaml.rules["volatility_leverage"] = "{warning: 15%, critical: 50%}"
    told.failure = ReadError(FailureKind.UNSUPPORTED, "candles of this venue are not read")
    async with house.running():
        await house.reads(4)
        sight = house.daemon.watching.sights["main"]
        await house.until(lambda: sight.snapshot and sight.snapshot.caveats, "the caveat")
        assert not house.sink.about("cannot be judged")
    told.failure = ReadError(FailureKind.OVERLOADED, "busy")
    async with house.running():
        await house.until(lambda: house.fires("unassessed"), "what cannot be judged")
        alert = house.alert("unassessed")
        assert alert is not None
        assert alert.inputs["why"] == "BTC/USDT:USDT: its candles could not be read: overloaded: busy"
        told.failure = None
        await house.until(lambda: not house.fires("unassessed"), "candles that come after all")


async def test_ether_that_hedges_bitcoin_by_beta_is_watched_over_a_restart(house: House) -> None:
    """All coins of this venue move as one, so that a dollar of one hedges a dollar of the other."""
    house.yaml.rules["hedge"] = "{warning: 10%, critical: 25%, basket: [BTC, ETH]}"
    house.engine.deposit("main", "USDT", 20_000)
    house.engine.open("main", "ETHUSDT", Side.SHORT, 25, 4_000, 10)
    async with house.running():
        await house.until(lambda: any(of.tracks for of in house.store.hedges.values()), "the hedge is recognised")
        house.engine.set_marks({"BTCUSDT": CALM * 0.96, "ETHUSDT": 4_000 * 0.96})
        await house.reads(3)
        assert not house.sink.about("hedge"), "both sides stand, whatever the price"
        assert not house.sink.about("cannot be judged"), "candles on their way are waited for"
    house.engine.close("main", "ETHUSDT", Side.SHORT, 25, 4_000 * 0.96)
    async with house.running():
        await house.until(lambda: house.sink.about("^CRITICAL portfolio: BTC.ETH hedge lost its short side"))
        alert = house.alert("hedge", "*")
        assert alert is not None
        assert (alert.inputs["gone"], alert.inputs["restore_coin"]) == ("ETH/USDT:USDT short of main", "ETH")
        assert alert.inputs["restore_size"] == pytest.approx(25, rel=1e-3)
        house.engine.open("main", "ETHUSDT", Side.SHORT, 25, 4_000 * 0.96, 10)
        await house.until(lambda: house.sink.about("^resolved portfolio: BTC.ETH hedge"))

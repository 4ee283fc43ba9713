"""What is remembered of an account that is read over HTTP, beside what the paper exchange holds true."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from collections.abc import Callable
from datetime import timedelta

import pytest

from monitor.domain.account import Side
from monitor.domain.fund import Window
from monitor.domain.reading import Need
from monitor.paper.engine import Engine
from monitor.risk.track import track_after
from tests.reading import Open, ShiftedClock, clock, engine, exchanges, good, open_account, server

Act = Callable[[Engine], None]


def equity_of(engine: Engine) -> float:
    return sum(pool.equity for pool in engine.pools("hedger") if pool.asset == "USDT")


def crash(engine: Engine) -> None:
    engine.set_marks({"BTCUSDT": 112_000, "ETHUSDT": 3_900})


def half_closed(engine: Engine) -> None:
    crash(engine)
    engine.close("hedger", "BTCUSDT", Side.LONG, 0.5, 113_000)


def closed_and_opened_again(engine: Engine) -> None:
    engine.close("hedger", "BTCUSDT", Side.LONG, 1, 117_000)
    engine.open("hedger", "BTCUSDT", Side.LONG, 2, 117_000, 20)


def margin_moved(engine: Engine) -> None:
    engine.move_isolated_margin("hedger", "ETHUSDT", Side.LONG, 1_000)


def liquidated(engine: Engine) -> None:
    engine.set_mark("ETHUSDT", 3_200)


def deposit(engine: Engine) -> None:
    engine.deposit("hedger", "USDT", 2_000)


def withdrawal_in_a_crash(engine: Engine) -> None:
    crash(engine)
    engine.withdraw("hedger", "USDT", 1_000)


@pytest.mark.parametrize(
    ("act", "explained"),
    [
        (crash, True),
        (half_closed, True),
        (closed_and_opened_again, True),
        (margin_moved, True),
        (liquidated, True),
        (deposit, False),
        (withdrawal_in_a_crash, False),
    ],
)
async def test_profit_trades_and_liquidations_are_told_from_transfers(
    act: Act, explained: bool, engine: Engine, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account()
    before, track = equity_of(engine), None
    for then in (lambda _engine: None, act):
        then(engine)
        track = track_after(track, good(await source.observe()), source.markets())
        clock.ahead += timedelta(seconds=10)
    assert track is not None
    assert track.fund is not None
    assert track.fund.equity.total == pytest.approx(equity_of(engine))
    peak = track.fund.peaks[Window.DAY]
    assert (peak.why is None) is explained, peak.why
    if explained:
        lost = 1 - equity_of(engine) / before
        assert 1 - track.fund.price / peak.price == pytest.approx(max(0.0, lost))


@pytest.mark.parametrize(
    ("act", "came"), [(deposit, 2_000), (withdrawal_in_a_crash, -1_000), (half_closed, 0), (liquidated, 0)]
)
async def test_what_comes_and_goes_is_told_by_the_venue_and_leaves_the_drawdown_what_trading_lost(
    act: Act, came: float, engine: Engine, open_account: Open, clock: ShiftedClock
) -> None:
    """By the read that shows it, through ccxt."""
    source = open_account(needs=frozenset({Need.LEDGER}))
    before, track = equity_of(engine), None
    for then in (lambda _engine: None, lambda _engine: None, act):
        then(engine)
        engine.advance(clock.now())
        snapshot = good(await source.observe())
        track = track_after(track, snapshot, source.markets())
        clock.ahead += timedelta(seconds=10)
    assert snapshot.ledger is not None
    assert track is not None
    assert track.fund is not None
    peak = track.fund.peaks[Window.DAY]
    assert peak.why is None
    assert 1 - track.fund.price / peak.price == pytest.approx(max(0.0, 1 - (equity_of(engine) - came) / before))

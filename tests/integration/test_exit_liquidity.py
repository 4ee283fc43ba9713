"""exit_liquidity on the paper exchange's own order books, read over HTTP by the real ccxt classes."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from datetime import timedelta
from pathlib import Path

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot, Side
from monitor.domain.reading import Need, Reading, Verdict
from monitor.exchange.registry import venue_of
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.venue import Extras
from monitor.paper.engine import Engine
from monitor.paper.tape import Level
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.daemon_kit import Shell, a_house
from tests.reading import Open, ShiftedClock, clock, engine, exchanges, good, open_account, server

LONG, SHORT = "BTC/USDT:USDT long", "BTC/USDT:USDT short"


async def read(source: AccountSource) -> tuple[AccountSnapshot, dict[str, Reading]]:
    """What the retail profile's rule says of one read, once books were waited for."""
    snapshot = await source.gathered(good(await source.observe()))
    rules = {"exit_liquidity": a_rule("exit_liquidity", **PROFILES["retail"]["exit_liquidity"])}
    context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
    return snapshot, {reading.key.subject: reading for reading in evaluate_rules(rules, context)}


def thin_book(engine: Engine, symbol: str, contracts: float) -> float:
    """All of that many contracts rests 0.5 % off the mark, as much again 4 % off it, and no more; the mark."""
    mark = engine.mark(symbol)
    assert mark is not None
    bids, asks = ([Level(round(mark * (1 + sign * away), 1), contracts) for away in (0.005, 0.04)] for sign in (-1, 1))
    engine.set_tape(symbol, bids=bids, asks=asks)
    return mark


def buffer_of(engine: Engine, account: str, pool: str) -> float:
    of = engine.pool(account, pool)
    return of.equity - of.maintenance_margin


async def test_a_book_that_has_emptied_is_told_from_one_that_holds_the_position(
    engine: Engine, open_account: Open, clock: ShiftedClock
) -> None:
    source = open_account("hedger", needs={Need.BOOKS})
    _, readings = await read(source)
    assert {readings[LONG].verdict, readings[SHORT].verdict} == {Verdict.CLEAR}
    truth = engine.position("hedger", "BTCUSDT", Side.LONG)
    mark = thin_book(engine, "BTCUSDT", truth.contracts / 2)
    clock.ahead += timedelta(seconds=61)
    _, readings = await read(source)
    best, last = round(mark * 0.995, 1), round(mark * 0.96, 1)
    due = truth.contracts / 2 * (mark - best) + truth.contracts / 2 * (mark - last)
    assert readings[LONG].inputs["slippage"] == pytest.approx(due)
    assert readings[LONG].value == pytest.approx(due / buffer_of(engine, "hedger", "cross:USDT"))
    assert readings[LONG].severity is not None
    assert readings[SHORT].verdict is Verdict.CLEAR, "half as large, against as much"


async def test_an_inverse_contract_is_held_against_coin(engine: Engine, open_account: Open) -> None:
    truth = engine.position("single", "BTCUSD_PERP", Side.LONG)
    mark = thin_book(engine, "BTCUSD_PERP", truth.contracts)
    _, readings = await read(open_account("single", "binancecoinm", needs={Need.BOOKS}))
    dollars = truth.contracts * 100
    due = dollars / round(mark * 0.995, 1) - dollars / mark
    reading = readings["BTC/USD:BTC long"]
    assert reading.inputs["slippage"] == pytest.approx(due, rel=1e-6)
    assert reading.value == pytest.approx(due / buffer_of(engine, "single", "cross:BTC"), rel=1e-6)
    assert reading.inputs["currency"] == "BTC"


async def test_a_read_does_not_wait_for_books_and_the_next_one_has_them(engine: Engine, open_account: Open) -> None:
    """So it is unknown for one interval at most, which is shorter than an unknown must last to be told."""
    thin_book(engine, "BTCUSDT", 0.5)
    source = open_account("hedger", needs={Need.BOOKS})
    first = good(await source.observe())
    assert all(state.book is None for state in source.markets().values())
    await source.gathered(first)
    held = {position.instrument.symbol for position in first.positions}
    assert all(source.markets()[symbol].book is not None for symbol in held)


async def test_books_are_asked_for_only_where_a_rule_needs_them(open_account: Open) -> None:
    source = open_account("hedger")
    await source.gathered(good(await source.observe()))
    assert all(state.book is None for state in source.markets().values())


async def test_a_venue_that_tells_no_books_is_silent_with_a_caveat(
    open_account: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(venue_of("binanceusdm")), "read_book", Extras.read_book)
    source = open_account("hedger", needs={Need.BOOKS})
    snapshot, readings = await read(source)
    assert readings == {}
    caveat = "what leaving a position costs is not watched: order books of this venue are not read"
    assert caveat in snapshot.caveats
    assert good(await source.observe()).caveats.count(caveat) == 1


async def test_once_waits_for_books(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    try:
        async with a_house(tmp_path, speed=None) as house:
            house.yaml.rules["exit_liquidity"] = "{warning: 10%, critical: 25%}"
            house.write()
            result = await shell("once", "-c", house.path)
            assert "exit_liquidity of BTC/USDT:USDT" in result.out
            assert "its order book has not been read yet" not in result.out
    finally:
        shell.close()

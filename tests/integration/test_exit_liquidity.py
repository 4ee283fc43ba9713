"""Order books for exit_liquidity, read over HTTP by the real ccxt classes beside the accounts that hold positions."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from pathlib import Path

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot
from monitor.domain.reading import Need, Reading
from monitor.exchange.registry import venue_of
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.venue import Extras
from monitor.paper.engine import Engine
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.daemon_kit import Shell, a_house
from tests.reading import Open, clock, engine, exchanges, good, open_account, server
from tests.truths import thin_book


async def read(source: AccountSource) -> tuple[AccountSnapshot, dict[str, Reading]]:
    """What the retail profile's rule says of one read, once books were waited for."""
    snapshot = await source.gathered(good(await source.observe()))
    rules = {"exit_liquidity": a_rule("exit_liquidity", **PROFILES["retail"]["exit_liquidity"])}
    context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
    return snapshot, {reading.key.subject: reading for reading in evaluate_rules(rules, context)}


async def test_a_read_does_not_wait_for_books_and_the_next_one_has_them(engine: Engine, open_account: Open) -> None:
    """So it is unknown for one interval at most, which is shorter than an unknown must last to be told."""
    thin_book("BTCUSDT", 0.5)(engine)
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

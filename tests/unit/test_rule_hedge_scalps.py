"""A trade against a position that its owner ends is a warning; a hedge that stood, or that the venue took, pages."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.domain.account import End, EndKind, Side
from monitor.domain.reading import Severity
from monitor.rules.base import Rule
from monitor.store.store import Store
from tests.builders import a_rule, a_snapshot, an_instrument
from tests.unit.portfolio_kit import BTC, Office, held, office
from tests.unit.store_kit import ManualClock

BOTH = {"hedge": a_rule("hedge", warning="10%", critical="25%")}


async def scalp(office: Office, *, minutes: int, rules: Mapping[str, Rule] = BOTH, first: bool = True) -> None:
    """A short beside a long that stands for days, and a quarter of an hour without it."""
    office.rules, office.names = rules, ("main",)
    if first:
        office.read("main", held(BTC, 1.0))
        await office.again()
    office.read("main", held(BTC, 1.0), held(BTC, -0.6))
    await office.again(times=6 * minutes)
    office.read("main", held(BTC, 1.0))
    await office.again(times=90)


def told(office: Office) -> list[tuple[str, Severity]]:
    return [(str(of.reason), of.severity) for of in office.told if of.key.rule == "hedge"]


@pytest.mark.parametrize(
    ("minutes", "severity"),
    [(5, Severity.WARNING), (59, Severity.WARNING), (61, Severity.CRITICAL)],
)
async def test_a_side_that_its_owner_ended_pages_where_the_hedge_had_stood_for_an_hour(
    office: Office, minutes: int, severity: Severity
) -> None:
    await scalp(office, minutes=minutes)
    assert told(office)[0] == ("first", severity)
    assert {of for _, of in told(office)} == {severity}


async def test_a_rule_with_critical_alone_speaks_of_brief_hedges_as_well(office: Office) -> None:
    await scalp(office, minutes=5, rules={"hedge": a_rule("hedge", critical="25%")})
    assert told(office)[0] == ("first", Severity.CRITICAL)


async def test_what_stood_when_it_was_first_seen_may_have_stood_for_long(office: Office) -> None:
    await scalp(office, minutes=5, first=False)
    assert told(office)[0] == ("first", Severity.CRITICAL)


async def test_what_began_while_nobody_looked_may_have_stood_for_long(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.db"
    before = Office(await Store.open(path, clock), clock, BOTH, names=("main",))
    before.read("main", held(BTC, 1.0))
    await before.again()
    await before.store.close()
    clock.elapsed_s += 3_600
    after = Office(await Store.open(path, clock), clock, BOTH)
    await scalp(after, minutes=5, first=False)
    assert told(after)[0] == ("first", Severity.CRITICAL)
    await after.store.close()


async def test_a_restart_keeps_that_it_was_seen_to_begin(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.db"
    before = Office(await Store.open(path, clock), clock, BOTH, names=("main",))
    before.read("main", held(BTC, 1.0))
    await before.again()
    before.read("main", held(BTC, 1.0), held(BTC, -0.6))
    await before.again(times=60)
    await before.store.close()
    after = Office(await Store.open(path, clock), clock, BOTH)
    await scalp(after, minutes=5, first=False)
    assert told(after)[0] == ("first", Severity.WARNING)
    await after.store.close()


async def test_a_leg_that_the_venue_took_pages_however_young_the_hedge_was_and_however_late_its_records_tell(
    office: Office,
) -> None:
    await scalp(office, minutes=5)
    off_at = office.clock.now() - timedelta(minutes=15)
    end = End(instrument=an_instrument(BTC), side=Side.SHORT, kind=EndKind.LIQUIDATED, at=off_at)
    office.see(a_snapshot(held(BTC, 1.0), account="main", ends=(end,)))
    await office.again(times=2)
    assert told(office) == [("first", Severity.WARNING), ("worse", Severity.CRITICAL)]
    assert "gone: BTC/USDT:USDT short of main, liquidated" in office.message("hedge")

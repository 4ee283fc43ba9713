"""Scenario files, price paths, and the packaged crash as the engine lives through it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from monitor.clock import ScaledClock
from monitor.domain.account import MarginMode, Side
from monitor.paper.book import EventKind
from monitor.paper.scenarios import PACKAGED, Driver, Scenario, load_scenario


def crash_as_dict() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((PACKAGED / "crash.yaml").read_text())
    return loaded


class StillClock(ScaledClock):
    """A clock that stands where it was put."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at, 1.0)
        self.at = at

    def now(self) -> datetime:
        return self.at


class LeapingClock(StillClock):
    """A clock on which every sleep lasts five minutes; after an hour it calls `at_end`."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.at_end: Callable[[], None] = lambda: None
        self._end = at + timedelta(hours=1)

    async def sleep(self, seconds: float) -> None:
        assert seconds == 1.0
        self.at += timedelta(minutes=5)
        if self.at > self._end:
            self.at_end()


def played(scenario: Scenario, seconds: int, stride: int) -> Driver:
    engine = scenario.build()
    driver = Driver(engine, scenario, StillClock(scenario.start))
    for second in range(0, seconds + 1, stride):
        driver.step_to(scenario.start + timedelta(seconds=second))
    return driver


def test_paths_start_at_their_first_waypoint_and_stay_near_the_line() -> None:
    scenario = load_scenario()
    for symbol, spec in scenario.contracts.items():
        path = scenario.path(symbol)
        assert len(path) == scenario.duration_s + 1
        assert path[0] == pytest.approx(spec.waypoints[0][1], rel=1e-4)
        for offset, price in spec.waypoints:
            assert path[round(offset)] == pytest.approx(price, rel=0.01)


def test_the_same_seed_gives_the_same_path_and_another_seed_another() -> None:
    scenario = load_scenario()
    assert scenario.path("BTCUSDT") == load_scenario().path("BTCUSDT")
    other = scenario.model_copy(update={"seed": scenario.seed + 1})
    assert other.path("BTCUSDT") != scenario.path("BTCUSDT")


def test_between_waypoints_the_logarithm_of_the_price_is_straight() -> None:
    given = crash_as_dict()
    given["noise"]["sigma"] = 0.0
    given["contracts"]["BTCUSDT"]["waypoints"] = [[0, 100_000], [100, 40_000]]
    path = Scenario.model_validate(given).path("BTCUSDT")
    assert path[50] == pytest.approx((100_000 * 40_000) ** 0.5, abs=0.1)
    assert path[100] == path[2000] == 40_000


def test_the_story_is_the_same_at_any_speed() -> None:
    scenario = load_scenario()
    stories = []
    for stride in (1, 60, 2700):
        driver = played(scenario, 2700, stride)
        stories.append(list(driver.engine.events))
    assert stories[0] == stories[1] == stories[2]


def test_the_crash_goes_as_its_file_says() -> None:
    scenario = load_scenario()
    driver = played(scenario, 2700, 1)
    assert driver.finished
    engine = driver.engine
    forced = [e for e in engine.events if e.kind in (EventKind.PARTIAL, EventKind.FULL)]
    assert [(e.account, e.symbol, e.kind) for e in forced] == [
        ("retail", "SOLUSDT", EventKind.FULL),
        ("pro", "AVAXUSDT", EventKind.PARTIAL),
    ]
    assert all(timedelta(minutes=25) < e.time - scenario.start < timedelta(minutes=33) for e in forced)
    for account in scenario.accounts:
        for pool in engine.pools(account):
            assert pool.maintenance_margin < 0.25 * pool.equity


def test_the_crash_is_calm_at_first() -> None:
    engine = played(load_scenario(), 300, 1).engine
    for account in ("retail", "pro", "coin"):
        for position in engine.positions(account):
            price = position.liquidation_price
            assert price is None or abs(price / position.mark_price - 1) > 0.12


def test_the_crash_has_the_accounts_it_promises() -> None:
    scenario = load_scenario()
    engine = scenario.build()
    retail, pro, coin = (engine.positions(name) for name in ("retail", "pro", "coin"))
    assert {p.margin_mode for p in retail} == set(MarginMode)
    assert max(p.leverage for p in retail) == 5
    assert engine.account("pro").hedge_mode
    assert {p.side for p in pro} == set(Side)
    assert max(p.leverage for p in pro) == 20
    assert [p.symbol for p in coin] == ["BTCUSD_PERP"]
    keys = {scenario.credentials(name) for name in scenario.accounts}
    assert len({part for pair in keys for part in pair}) == 6


async def test_the_driver_runs_on_the_clock_until_it_is_stopped() -> None:
    scenario = load_scenario()
    engine = scenario.build()
    clock = LeapingClock(scenario.start)
    driver = Driver(engine, scenario, clock)
    clock.at_end = driver.stop
    await driver.run()
    assert driver.finished
    assert driver.elapsed_s == scenario.duration_s
    assert engine.now > scenario.start + timedelta(seconds=scenario.duration_s)


def _unknown_key(given: dict[str, Any]) -> None:
    given["sped"] = 1


def _unknown_symbol(given: dict[str, Any]) -> None:
    given["accounts"]["pro"]["positions"][0]["symbol"] = "PEPEUSDT"


def _time_runs_back(given: dict[str, Any]) -> None:
    given["contracts"]["BTCUSDT"]["waypoints"][1][0] = 0


def _price_of_nothing(given: dict[str, Any]) -> None:
    given["contracts"]["BTCUSDT"]["waypoints"][1][1] = 0


def _not_a_number(given: dict[str, Any]) -> None:
    given["contracts"]["BTCUSDT"]["funding_rate"] = float("nan")


def _another_venue(given: dict[str, Any]) -> None:
    given["accounts"]["pro"]["venue"] = "bybit"


def _no_zone(given: dict[str, Any]) -> None:
    given["start"] = "2025-10-10T20:48:00"


@pytest.mark.parametrize(
    "spoil",
    [_unknown_key, _unknown_symbol, _time_runs_back, _price_of_nothing, _not_a_number, _another_venue, _no_zone],
)
def test_a_scenario_with_a_mistake_is_refused(spoil: Any, tmp_path: Path) -> None:
    given = crash_as_dict()
    spoil(given)
    file = tmp_path / "scenario.yaml"
    with file.open("w") as stream:
        YAML(typ="safe").dump(given, stream)
    with pytest.raises(ValidationError):
        load_scenario(file)


def test_a_scenario_file_is_read_from_any_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((PACKAGED / "crash.yaml").read_text().replace("name: crash", "name: mine"))
    assert load_scenario(file).name == "mine"
    assert load_scenario(file).start == datetime(2025, 10, 10, 20, 48, tzinfo=UTC)

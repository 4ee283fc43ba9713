"""Once wrong: alerts that ended, stood still or kept quiet without a figure that said so."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.blindness import Sight, decide_blindness
from monitor.clock import SystemClock
from monitor.domain.account import PriceOrigin
from monitor.domain.alert import AlertState, Reason, Resolution, advance, notified, reason_to_notify
from monitor.domain.reading import Severity, Verdict
from monitor.pipeline import assess, decide
from monitor.plan import AccountPlan
from monitor.rules.base import Rule, ThresholdRule
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import a_policy, a_position, a_reading, a_rule, a_snapshot, an_alert, at
from tests.unit.store_kit import ManualClock

NO_RULES: Mapping[str, Rule] = {}
QUICK = a_policy(warning_for_s=0, keep_firing_for_s=60)


def a_plan(poll_interval_s: float = 10.0, rules: Mapping[str, Rule] = NO_RULES) -> AccountPlan:
    return AccountPlan(
        name="main",
        venue="binanceusdm",
        poll_interval_s=poll_interval_s,
        rules=rules,
        policies=dict.fromkeys([*rules, "blind", "unassessed"], QUICK),
        targets=dict.fromkeys(Severity, ("phone",)),
        channels=frozenset({"phone"}),
    )


class Page:
    """Sight and reads go in; who was told what comes out."""

    def __init__(self, store: Store, clock: ManualClock, plan: AccountPlan) -> None:
        self.store, self.clock, self.plan = store, clock, plan

    async def look(self, sight: Sight, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.elapsed_s += 1
            now = self.clock.now()
            await self.store.apply(decide_blindness({"main": self.plan}, {"main": sight}, self.store, now))

    async def read(self, *symbols: str) -> None:
        """A cross account with those positions, near to liquidation as a pool."""
        held = [a_position(symbol=s, maintenance_margin=450.0) for s in symbols]
        snapshot = a_snapshot(*held, other_maintenance=900.0 - 450.0 * len(held), observed_at=self.clock.now())
        readings = assess(self.plan, snapshot, {}, self.clock.now())
        await self.store.apply(decide(self.plan, snapshot, readings, {}, self.store, self.clock.now()))

    @property
    def reasons(self) -> list[Reason]:
        return [row.reason for row in self.store.undelivered.values()]


@pytest.mark.parametrize("poll_interval_s", [10.0, 60.0, 3600.0])
async def test_who_was_blind_before_a_restart_is_not_said_to_be_read_again_before_a_read(
    poll_interval_s: float,
) -> None:
    clock = ManualClock()
    page = Page(await Store.open(None, clock), clock, a_plan(poll_interval_s))
    long_ago = Sight(since=clock.now() - timedelta(days=1))
    await page.look(long_ago, 5)
    assert page.reasons == [Reason.FIRST]
    restarted = Sight(since=clock.now())
    await page.look(restarted, 200)
    assert page.reasons == [Reason.FIRST], "neither resolved nor told as worse once more"
    restarted.last_read_at = clock.now()
    await page.look(restarted, 20)
    assert page.reasons == [Reason.FIRST]
    restarted.last_read_at = clock.now()
    await page.look(restarted, 15)
    restarted.last_read_at = clock.now()
    await page.look(restarted, 29)
    assert page.reasons == [Reason.FIRST, Reason.RESOLVED]
    await page.store.close()


@pytest.mark.parametrize("kind", ["margin_ratio", "funding_exposure"])
async def test_a_filtered_position_missing_from_one_read_does_not_end_the_alert_of_its_pool(kind: str) -> None:
    clock = ManualClock()
    rule = a_rule(kind, where={"symbol": "DOGE/*"}, warning="50%", critical="80%")
    page = Page(await Store.open(None, clock), clock, a_plan(rules={kind: rule}))
    key = next(r.key for r in assess(page.plan, a_snapshot(a_position(symbol="DOGE/USDT:USDT")), {}, clock.now()))
    firing = an_alert(state=AlertState.FIRING, severity=Severity.CRITICAL, episode=1, announced=Severity.CRITICAL)
    firing = replace(firing, key=key, notified_at=clock.now(), fired_at=clock.now())
    await page.store.apply(Changes(alerts=(firing,)))
    await page.read("BTC/USDT:USDT")
    assert page.store.alerts[key].is_firing
    await page.read("BTC/USDT:USDT")
    assert page.store.alerts[key].resolution is Resolution.POSITION_GONE, "not removed from the configuration"
    await page.store.close()


async def test_an_open_position_that_an_edit_excludes_ends_as_removed() -> None:
    clock = ManualClock()
    page = Page(await Store.open(None, clock), clock, a_plan())
    snapshot = a_snapshot(a_position(liquidation_price=97.0, liquidation_price_origin=PriceOrigin.VENUE))
    for where in ({}, {"symbol": "DOGE/*"}):
        rule = a_rule("liquidation_distance", where=where, warning="15%", critical="7%")
        page.plan = a_plan(rules={"liquidation_distance": rule})
        readings = assess(page.plan, snapshot, {}, clock.now())
        await page.store.apply(decide(page.plan, snapshot, readings, {}, page.store, clock.now()))
    (alert,) = (a for k, a in page.store.alerts.items() if k.rule == "liquidation_distance")
    assert alert.resolution is Resolution.REMOVED
    await page.store.close()


def test_a_rise_in_severity_passes_the_flap_mute_even_where_nothing_was_told_of_the_episode() -> None:
    flapping = an_alert(firings=(at(0), at(100)), episode=2, last_told=Severity.CRITICAL, notified_at=at(150))
    muted = advance(flapping, a_reading(Verdict.BREACH), QUICK, at(200))
    assert muted.is_firing
    assert reason_to_notify(muted, QUICK, at(200)) is None
    worse = advance(muted, a_reading(Verdict.BREACH, Verdict.BREACH), QUICK, at(210))
    assert reason_to_notify(worse, QUICK, at(210)) is Reason.FIRST
    assert reason_to_notify(notified(worse, Reason.FIRST, at(210)), QUICK, at(211)) is None


@pytest.mark.parametrize("kind", ["margin_ratio", "liquidation_distance", "funding_exposure"])
def test_a_figure_that_is_no_number_is_unknown_and_not_clear(kind: str) -> None:
    rule = a_rule(kind, **({"warning": "15%"} if kind == "liquidation_distance" else {"critical": "15%"}))
    assert isinstance(rule, ThresholdRule)
    assert [level.verdict for level in rule.levels(math.nan)] == [Verdict.UNKNOWN]


class Machine:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall = datetime(2025, 10, 10, 12, tzinfo=UTC)
        self.monotonic = 5_000.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.monotonic)


@pytest.mark.parametrize("set_back_s", [2, 3600, 86400 * 365])
def test_a_machine_whose_clock_is_set_back_does_not_stop_our_time(set_back_s: float) -> None:
    machine = Machine()
    ours = machine.clock()
    before = ours.now()
    machine.wall -= timedelta(seconds=set_back_s)
    for passed_s in (1, 60, 3600):
        machine.passes(passed_s)
    assert (ours.now() - before).total_seconds() == pytest.approx(3661)


def test_a_machine_whose_clock_is_set_forward_or_steered_is_followed() -> None:
    machine = Machine()
    ours = machine.clock()
    machine.wall += timedelta(hours=5)
    assert ours.now() == machine.wall
    for _ in range(100):
        machine.passes(10)
        machine.wall -= timedelta(milliseconds=100)
        assert ours.now() == machine.wall

"""The page: what one read, one failure, one edit means for alerts and for who is told."""

from dataclasses import replace

import pytest

from monitor.blindness import blind_after_s
from monitor.domain.account import FailureKind, Observation, Position
from monitor.domain.alert import AlertState, Reason, Resolution
from monitor.domain.market import Markets, MarketState
from monitor.domain.notification import AlertFacts
from monitor.domain.reading import AlertKey, Scope, Severity
from monitor.domain.study import NoStudy
from monitor.pipeline import assess, decide_removals, run_cycle
from monitor.store.records import Changes
from tests.builders import a_policy, a_position, a_rule, a_snapshot, an_instrument
from tests.unit.pipeline_kit import DISTANCE, NEAR, RATIO, Desk, a_plan, desk

__all__ = ["desk"]


# ---- unknown is not safe


@pytest.mark.parametrize("kind", list(FailureKind))
async def test_a_failed_read_starts_nothing(desk: Desk, kind: FailureKind) -> None:
    await desk.fail(kind)
    assert not desk.store.alerts
    assert not desk.told


@pytest.mark.parametrize("ratio", [0.9, 0.1], ids=["firing", "recovering"])
async def test_a_failed_read_neither_clears_nor_resolves(desk: Desk, ratio: float) -> None:
    await desk.ratio(0.9)
    await desk.ratio(ratio)
    before = desk.alert("margin_ratio").state
    for _ in range(30):
        desk.later(5)
        await desk.fail()
    assert desk.alert("margin_ratio").state is before
    assert desk.alert("margin_ratio").is_firing
    assert desk.reasons() == ["first"]


async def test_time_not_seen_does_not_count_towards_recovery(desk: Desk) -> None:
    await desk.ratio(0.9)
    await desk.ratio(0.1)
    desk.later(15)
    await desk.fail()
    desk.later(1000)
    await desk.ratio(0.1)
    assert desk.alert("margin_ratio").state is AlertState.RECOVERING
    desk.later(5.5)
    await desk.ratio(0.1)
    assert desk.reasons() == ["first", "resolved"]


async def test_a_firing_alert_is_repeated_while_the_account_cannot_be_read(desk: Desk) -> None:
    await desk.ratio(0.9)
    desk.later(301)
    await desk.fail()
    assert desk.reasons() == ["first", "repeat"]


async def test_what_a_good_read_does_not_tell_is_an_alert_of_its_own(desk: Desk) -> None:
    await desk.ratio(None)
    assert desk.reasons(rule="unassessed") == ["first"]
    row = desk.told[0]
    assert isinstance(row.facts, AlertFacts)
    assert row.facts.inputs["subjects"] == "margin_ratio of cross:USDT"
    assert "margin" in str(row.facts.inputs["why"])
    assert [key.rule for key in desk.store.alerts] == ["unassessed"], "an unknown figure is no breach"
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons(rule="unassessed") == ["first", "resolved"]


async def test_what_is_on_its_way_is_no_alert_at_the_start_and_what_failed_is(desk: Desk) -> None:
    desk.plan = a_plan({"volatility_leverage": a_rule("volatility_leverage", warning="8%")})
    for no_study, told in (
        (NoStudy("its candles are being read", is_pending=True), []),
        (NoStudy("its candles could not be read: overloaded: busy"), ["first"]),
    ):
        market = {"BTC/USDT:USDT": MarketState(instrument=an_instrument(), no_study=no_study)}
        for _ in range(5):
            await desk.see(a_snapshot(a_position()), market)
            desk.later(20)
        assert desk.reasons(rule="unassessed") == told


async def test_an_unknown_figure_leaves_the_alert_on_it_firing(desk: Desk) -> None:
    await desk.ratio(0.9)
    for _ in range(10):
        desk.later(20)
        await desk.ratio(None)
    assert desk.alert("margin_ratio").state is AlertState.FIRING
    assert "resolved" not in desk.reasons(rule="margin_ratio")


# ---- a position that is gone


async def test_a_position_gone_in_two_good_reads_resolves_and_a_failure_between_does_not_count(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE)
    near = a_position(mark_price=100, **NEAR)
    await desk.see(a_snapshot(near))
    await desk.see(a_snapshot())
    assert desk.alert("liquidation_distance").state is AlertState.FIRING
    await desk.fail()
    assert desk.alert("liquidation_distance").state is AlertState.FIRING
    await desk.see(a_snapshot())
    assert desk.alert("liquidation_distance").resolution is Resolution.POSITION_GONE
    assert desk.reasons() == ["first", "resolved"]


async def test_a_position_that_comes_back_after_one_read_goes_on_with_its_episode(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE)
    near = a_position(mark_price=100, **NEAR)
    for snapshot in (a_snapshot(near), a_snapshot(), a_snapshot(near), a_snapshot(), a_snapshot(near)):
        await desk.see(snapshot)
    assert desk.alert("liquidation_distance").is_firing
    assert desk.reasons() == ["first"]


# ---- rules that take over, and go


async def test_a_more_specific_rule_that_takes_over_ends_the_other_rules_alert(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE)
    near = a_position(symbol="DOGE/USDT:USDT", mark_price=100, **NEAR)
    await desk.see(a_snapshot(near))
    doge = a_rule("liquidation_distance", where={"symbol": "DOGE/*"}, warning="30%", critical="15%")
    desk.plan = a_plan({**DISTANCE, "doge_distance": doge})
    await desk.see(a_snapshot(near))
    assert desk.alert("liquidation_distance").resolution is Resolution.REMOVED
    assert desk.reasons(rule="liquidation_distance") == ["first", "resolved"]
    assert desk.reasons(rule="doge_distance") == ["first"]


async def test_a_removed_rule_resolves_once_and_only_for_who_was_told(desk: Desk) -> None:
    old = a_plan({**RATIO, **DISTANCE})
    desk.plan = old
    await desk.see(a_snapshot(a_position(mark_price=100, **NEAR, maintenance_margin=900)))
    new = a_plan(RATIO)
    for _ in range(2):
        await desk.commit(decide_removals({"main": old}, {"main": new}, desk.store, desk.clock.now()))
    assert desk.reasons(rule="liquidation_distance") == ["first", "resolved"]
    assert desk.reasons(rule="margin_ratio") == ["first"]
    assert desk.alert("margin_ratio").is_firing


@pytest.mark.parametrize("known", [True, False], ids=["edited", "at start"])
async def test_a_removed_account_resolves_all_it_had(desk: Desk, known: bool) -> None:
    await desk.ratio(0.9)
    desk.later(61)
    await desk.look()
    assert desk.reasons(rule="blind") == ["first"]
    old = {"main": desk.plan} if known else {}
    await desk.commit(decide_removals(old, {"other": a_plan(name="other")}, desk.store, desk.clock.now()))
    assert not any(alert.is_active for alert in desk.store.alerts.values())
    assert {alert.resolution for alert in desk.store.alerts.values()} == {Resolution.REMOVED}
    assert sorted(desk.reasons()) == ["first", "first", "resolved", "resolved"]


async def test_a_pending_alert_of_a_removed_rule_goes_without_a_word(desk: Desk) -> None:
    desk.plan = replace(a_plan(), policies=dict.fromkeys(["margin_ratio", "blind", "unassessed"], a_policy()))
    await desk.ratio(0.6)
    assert desk.alert("margin_ratio").state is AlertState.PENDING
    await desk.commit(decide_removals({"main": desk.plan}, {"main": a_plan(DISTANCE)}, desk.store, desk.clock.now()))
    assert desk.alert("margin_ratio").state is AlertState.INACTIVE
    assert not desk.told


# ---- blind


@pytest.mark.parametrize(
    ("poll_s", "warning_s", "critical_s"), [(1, 30, 60), (10, 30, 60), (12, 36, 72), (60, 180, 360)]
)
async def test_blindness_is_told_at_its_age(desk: Desk, poll_s: float, warning_s: float, critical_s: float) -> None:
    assert blind_after_s(poll_s) == (warning_s, critical_s)
    desk.plan = a_plan(poll_interval_s=poll_s)
    await desk.ratio(0.1)
    desk.later(warning_s - 0.5)
    await desk.look()
    assert not desk.told
    desk.later(0.5)
    await desk.look()
    assert [row.severity for row in desk.told] == [Severity.WARNING]
    desk.later(critical_s - warning_s - 0.5)
    await desk.look()
    assert len(desk.told) == 1
    desk.later(0.5)
    await desk.look()
    assert [(str(row.reason), row.severity) for row in desk.told[1:]] == [("worse", Severity.CRITICAL)]


@pytest.mark.parametrize(
    ("positions", "worst"), [(0, Severity.WARNING), (2, Severity.CRITICAL), (None, Severity.CRITICAL)]
)
async def test_blindness_is_critical_only_where_a_position_may_be_open(
    desk: Desk, positions: int | None, worst: Severity
) -> None:
    desk.sight.positions = positions
    for _ in range(200):
        desk.later(1)
        await desk.look()
    assert max(row.severity for row in desk.told) is worst


async def test_a_failed_read_is_no_read(desk: Desk) -> None:
    await desk.ratio(0.1)
    for _ in range(6):
        desk.later(5)
        await desk.fail(FailureKind.BANNED)
    await desk.look()
    assert desk.reasons() == ["first"]
    assert isinstance(desk.told[0].facts, AlertFacts)
    assert desk.told[0].facts.inputs["failure_kind"] == "banned"


async def test_sight_regained_resolves_blindness_after_its_wait(desk: Desk) -> None:
    await desk.ratio(0.1)
    desk.later(31)
    await desk.look()
    for _ in range(25):
        desk.later(1)
        await desk.ratio(0.1)
        await desk.look()
    assert desk.reasons() == ["first", "resolved"]


# ---- one cycle


class Scripted:
    def __init__(self, observation: Observation) -> None:
        self._observation = observation

    async def observe(self) -> Observation:
        return self._observation

    def markets(self) -> Markets:
        return {}


async def test_a_cycle_commits_state_and_message_together_and_remembers_the_read(desk: Desk) -> None:
    snapshot = a_snapshot(a_position(maintenance_margin=900.0), observed_at=desk.clock.now())
    applied: list[Changes] = []
    apply = desk.store.apply

    async def spy(changes: Changes) -> None:
        applied.append(changes)
        await apply(changes)

    desk.store.apply = spy  # type: ignore[method-assign]
    observed = await run_cycle(lambda: desk.plan, Scripted(snapshot), desk.sight, desk.store, desk.clock)
    assert observed is snapshot
    assert desk.sight.snapshot is snapshot
    (changes,) = applied
    assert [a.state for a in changes.alerts] == [AlertState.FIRING]
    assert [(r.reason, r.target) for r in changes.enqueue] == [(Reason.FIRST, "phone")]
    assert [(r.account, r.last_positions, r.last_flat) for r in changes.accounts] == [("main", 1, False)]


async def test_a_cycle_in_which_nothing_changed_writes_nothing(desk: Desk) -> None:
    await desk.ratio(0.1)
    desk.later(5)
    written: list[Changes] = []
    desk.store.apply = written.append  # type: ignore[method-assign,assignment]
    snapshot = a_snapshot(a_position(maintenance_margin=100.0), observed_at=desk.clock.now())
    await run_cycle(lambda: desk.plan, Scripted(snapshot), desk.sight, desk.store, desk.clock)
    assert not written


def test_the_monitors_own_alerts_are_known_to_every_plan() -> None:
    plan = a_plan({})
    assert plan.knows(AlertKey("blind", "main", Scope.ACCOUNT, "main"))
    assert plan.rule_kind(AlertKey("blind", "main", Scope.ACCOUNT, "main")) == "blind"
    assert not plan.knows(AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT"))


def test_the_position_of_a_reading_is_one_of_the_snapshot() -> None:
    position: Position = a_position(mark_price=100, **NEAR)
    readings = assess(a_plan(DISTANCE), a_snapshot(position), {}, a_snapshot().observed_at)
    assert [r.key.subject for r in readings] == [position.subject, "main"]

"""The page: what one read, one failure, one edit means for alerts and for who is told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain.account import FailureKind, Observation, PollFailure, Position, PriceOrigin
from monitor.domain.alert import Alert, AlertState, Reason, Resolution
from monitor.domain.market import Markets
from monitor.domain.notification import AlertFacts, DeliveryState, Notification
from monitor.domain.reading import AlertKey, Scope, Severity
from monitor.domain.silence import Matcher, Silence
from monitor.pipeline import (
    AccountPlan,
    Sight,
    assess,
    blind_after_s,
    decide,
    decide_blindness,
    decide_removals,
    run_cycle,
)
from monitor.rules.base import Rule
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import a_policy, a_position, a_rule, a_snapshot
from tests.unit.store_kit import ManualClock

BOTH = dict.fromkeys((Severity.WARNING, Severity.CRITICAL), ("phone",))
RATIO = {"margin_ratio": a_rule("margin_ratio", warning="50%", critical="80%")}
DISTANCE = {"liquidation_distance": a_rule("liquidation_distance", warning="15%", critical="7%")}
NEAR: dict[str, Any] = {"liquidation_price": 97, "liquidation_price_origin": PriceOrigin.VENUE}
QUICK = a_policy(warning_for_s=0, keep_firing_for_s=20)


def a_plan(
    rules: Mapping[str, Rule] = RATIO,
    *,
    name: str = "main",
    targets: Mapping[Severity, tuple[str, ...]] = BOTH,
    poll_interval_s: float = 10.0,
) -> AccountPlan:
    return AccountPlan(
        name=name,
        venue="binanceusdm",
        poll_interval_s=poll_interval_s,
        rules=rules,
        policies=dict.fromkeys([*rules, "blind", "unassessed"], QUICK),
        targets={Severity.INFO: (), **targets},
        **_channels(targets),
    )


def _channels(targets: Mapping[Severity, tuple[str, ...]]) -> dict[str, Any]:
    return {"channels": frozenset(name for names in targets.values() for name in names)}


@dataclass
class Desk:
    """One account before the page: observations go in, state and messages are looked at."""

    store: Store
    clock: ManualClock
    plan: AccountPlan = field(default_factory=a_plan)
    sight: Sight = field(init=False)
    told: list[Notification] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sight = Sight(since=self.clock.now())

    async def see(self, observation: Observation, markets: Markets | None = None) -> None:
        now = self.clock.now()
        observation = replace(observation, observed_at=now)
        readings = assess(self.plan, observation, markets or {}, now)
        self.sight.see(observation, readings)
        await self.commit(decide(self.plan, observation, readings, self.store, now))

    async def ratio(self, ratio: float | None) -> None:
        """A read in which the cross pool's margin ratio is that; None: the venue does not tell it."""
        maintenance = None if ratio is None else 1000 * ratio
        await self.see(a_snapshot(a_position(contracts=1, mark_price=100, maintenance_margin=maintenance)))

    async def fail(self, kind: FailureKind = FailureKind.TIMEOUT) -> None:
        now = self.clock.now()
        await self.see(
            PollFailure(account=self.plan.name, venue=self.plan.venue, observed_at=now, kind=kind, detail="gone")
        )

    async def look(self) -> None:
        """The loop that judges how old the last read is."""
        await self.commit(
            decide_blindness({self.plan.name: self.plan}, {self.plan.name: self.sight}, self.store, self.clock.now())
        )

    async def commit(self, changes: Changes) -> None:
        """And every message arrives at once."""
        await self.store.apply(changes)
        rows = tuple(self.store.undelivered.values())
        self.told.extend(rows)
        sent = (replace(row, state=DeliveryState.SENT, delivered_at=self.clock.now()) for row in rows)
        await self.store.apply(Changes(notifications=tuple(sent)))

    def later(self, seconds: float) -> None:
        self.clock.elapsed_s += seconds

    def alert(self, rule: str) -> Alert:
        found = [alert for key, alert in self.store.alerts.items() if key.rule == rule]
        assert len(found) == 1, found
        return found[0]

    def reasons(self, target: str = "phone", rule: str | None = None) -> list[str]:
        return [str(r.reason) for r in self.told if r.target == target and rule in (None, r.key.rule)]


@pytest.fixture
async def desk() -> Any:
    clock = ManualClock()
    store = await Store.open(None, clock)
    yield Desk(store, clock)
    await store.close()


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


# ---- who is told


def a_silence(desk: Desk, **matcher: Any) -> Silence:
    now = desk.clock.now()
    return Silence(
        id="s", matchers=(Matcher(**matcher),), starts_at=now, ends_at=now.replace(year=2030), author="me", comment=""
    )


async def test_a_silence_mutes_the_first_and_then_nothing_is_resolved_either(desk: Desk) -> None:
    await desk.store.apply(Changes(silences=(a_silence(desk, rule="margin_*"),)))
    await desk.ratio(0.9)
    assert desk.alert("margin_ratio").state is AlertState.FIRING, "a silence never touches what is the case"
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.alert("margin_ratio").resolved_at is not None
    assert not desk.told


async def test_a_silence_never_mutes_the_resolved_of_something_told(desk: Desk) -> None:
    await desk.ratio(0.9)
    await desk.store.apply(Changes(silences=(a_silence(desk),)))
    desk.later(400)
    await desk.ratio(0.9)
    assert desk.reasons() == ["first"], "the repeat is muted"
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons() == ["first", "resolved"]


async def test_a_silence_of_warnings_lets_the_critical_through_as_the_first(desk: Desk) -> None:
    await desk.store.apply(Changes(silences=(a_silence(desk, severity=Severity.WARNING),)))
    await desk.ratio(0.6)
    await desk.ratio(0.9)
    assert [(str(row.reason), row.severity) for row in desk.told] == [("first", Severity.CRITICAL)]


async def test_a_channel_that_hears_only_critical_reads_first_where_the_others_read_worse(desk: Desk) -> None:
    desk.plan = a_plan(targets={Severity.WARNING: ("phone",), Severity.CRITICAL: ("phone", "pager")})
    await desk.ratio(0.6)
    await desk.ratio(0.9)
    assert desk.reasons("phone") == ["first", "worse"]
    assert desk.reasons("pager") == ["first"]
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons("phone") == ["first", "worse", "resolved"]
    assert desk.reasons("pager") == ["first", "resolved"]


async def test_a_resolved_goes_to_exactly_who_was_told(desk: Desk) -> None:
    desk.plan = a_plan(targets={Severity.WARNING: ("phone",), Severity.CRITICAL: ("phone", "pager")})
    await desk.ratio(0.6)
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons("phone") == ["first", "resolved"]
    assert desk.reasons("pager") == []


async def test_a_channel_that_no_longer_hears_of_the_account_is_still_told_the_end(desk: Desk) -> None:
    await desk.ratio(0.9)
    desk.plan = replace(a_plan(targets={Severity.CRITICAL: ("pager",)}), **_channels(BOTH))
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons("phone") == ["first", "resolved"]
    assert desk.reasons("pager") == []


async def test_a_channel_that_was_removed_is_owed_nothing(desk: Desk) -> None:
    await desk.ratio(0.9)
    desk.plan = a_plan(targets=dict.fromkeys(BOTH, ("pager",)))
    await desk.ratio(0.1)
    desk.later(21)
    await desk.ratio(0.1)
    assert desk.reasons("phone") == ["first"]


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


# ---- any story


STEPS = st.one_of(
    st.tuples(st.just("ratio"), st.sampled_from([0.1, 0.47, 0.55, 0.76, 0.9, None])),
    st.tuples(st.just("fail"), st.none()),
    st.tuples(st.just("flat"), st.none()),
    st.tuples(st.just("edit"), st.sampled_from(["both", "pager only", "phone only", "no rules"])),
    st.tuples(st.just("silence"), st.sampled_from([None, Severity.WARNING, Severity.CRITICAL])),
)
PLANS: Mapping[str, AccountPlan] = {
    "both": a_plan(targets={Severity.WARNING: ("phone",), Severity.CRITICAL: ("phone", "pager")}),
    "pager only": replace(
        a_plan(targets={Severity.CRITICAL: ("pager",), Severity.WARNING: ("pager",)}),
        channels=frozenset({"phone", "pager"}),
    ),
    "phone only": replace(a_plan(), channels=frozenset({"phone", "pager"})),
    "no rules": replace(a_plan({}, targets=BOTH), channels=frozenset({"phone", "pager"})),
}


@settings(max_examples=60, deadline=None)
@given(story=st.lists(st.tuples(STEPS, st.sampled_from([1.0, 10.0, 25.0, 400.0])), max_size=30))
def test_per_episode_and_target_the_messages_read_first_then_news_then_resolved(
    story: Sequence[tuple[tuple[str, Any], float]],
) -> None:
    asyncio.run(_tell(story))


async def _tell(story: Sequence[tuple[tuple[str, Any], float]]) -> None:
    clock = ManualClock()
    store = await Store.open(None, clock)
    desk = Desk(store, clock, PLANS["both"])
    try:
        for (what, value), seconds in story:
            await _step(desk, what, value)
            _check_states(desk)
            desk.later(seconds)
            await desk.look()
        other = replace(PLANS["both"], name="other")
        await desk.commit(decide_removals({"main": desk.plan}, {"other": other}, store, clock.now()))
    finally:
        await store.close()
    _check_grammar(desk.told)


async def _step(desk: Desk, what: str, value: Any) -> None:
    if what == "ratio":
        await desk.ratio(value)
    elif what == "fail":
        before = {key: alert.state for key, alert in desk.store.alerts.items() if key.rule != "blind"}
        resolved_before = sum(row.reason is Reason.RESOLVED for row in desk.told)
        await desk.fail()
        after = {key: alert.state for key, alert in desk.store.alerts.items() if key.rule != "blind"}
        if all(desk.plan.knows(key) for key in before):
            assert after == before
            assert sum(row.reason is Reason.RESOLVED for row in desk.told) == resolved_before
    elif what == "flat":
        await desk.see(a_snapshot())
    elif what == "edit":
        old, desk.plan = desk.plan, PLANS[value]
        changes = decide_removals({"main": old}, {"main": desk.plan}, desk.store, desk.clock.now())
        await desk.commit(changes)
    elif what == "silence":
        silence = a_silence(desk) if value is None else a_silence(desk, severity=value)
        now = desk.clock.now()
        await desk.store.apply(Changes(silences=(replace(silence, ends_at=now + (now - now.replace(hour=20))),)))


def _check_states(desk: Desk) -> None:
    for alert in desk.store.alerts.values():
        assert alert.is_firing == (alert.fired_at is not None and alert.resolved_at is None and alert.is_active)
        assert (alert.severity is None) <= (not alert.is_active)


def _check_grammar(told: Sequence[Notification]) -> None:
    by_episode: dict[tuple[AlertKey, int, str], list[Notification]] = {}
    for row in told:
        by_episode.setdefault((row.key, row.episode, row.target), []).append(row)
    for (key, episode, target), rows in by_episode.items():
        reasons = [row.reason for row in rows]
        words = f"{key.rule} {episode} {target}: {[str(r) for r in reasons]}"
        assert reasons[0] is Reason.FIRST, words
        assert all(reason in (Reason.REPEAT, Reason.WORSE) for reason in reasons[1:-1]), words
        assert len(reasons) > 1, f"never resolved: {words}"
        assert reasons[-1] is Reason.RESOLVED, words
        sequences = [row.sequence for row in rows]
        assert sequences == sorted(set(sequences)), words


def test_the_monitors_own_alerts_are_known_to_every_plan() -> None:
    plan = a_plan({})
    assert plan.knows(AlertKey("blind", "main", Scope.ACCOUNT, "main"))
    assert plan.rule_kind(AlertKey("blind", "main", Scope.ACCOUNT, "main")) == "blind"
    assert not plan.knows(AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT"))


def test_the_position_of_a_reading_is_one_of_the_snapshot() -> None:
    position: Position = a_position(mark_price=100, **NEAR)
    readings = assess(a_plan(DISTANCE), a_snapshot(position), {}, a_snapshot().observed_at)
    assert [r.key.subject for r in readings] == [position.subject, "main"]

"""Who is told what: silences, channels, and the order of an episode's messages through any story."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain.alert import AlertState, Reason
from monitor.domain.notification import Notification
from monitor.domain.reading import AlertKey, Severity
from monitor.domain.silence import Matcher, Silence
from monitor.pipeline import decide_removals
from monitor.plan import AccountPlan
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import a_snapshot
from tests.unit.pipeline_kit import BOTH, Desk, a_plan, desk
from tests.unit.store_kit import ManualClock

__all__ = ["desk"]


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
    desk.plan = replace(a_plan(targets={Severity.CRITICAL: ("pager",)}), channels=frozenset({"phone"}))
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

"""The state machine of one alert: what is the case, and what of it is news."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.alert import (
    Alert,
    AlertPolicy,
    AlertState,
    Reason,
    Resolution,
    acknowledge,
    advance,
    advance_absent,
    advance_unknown,
    after_downtime,
    end,
    notified,
    reason_to_notify,
)
from monitor.domain.reading import Reading, Severity, Verdict
from tests.builders import a_policy, a_reading, an_alert, at

BREACH, HOLD, CLEAR, UNKNOWN = Verdict.BREACH, Verdict.HOLD, Verdict.CLEAR, Verdict.UNKNOWN
WARN, CRIT = Severity.WARNING, Severity.CRITICAL
POLICY = a_policy()

Step = tuple[float, Verdict, Verdict]


def play(
    steps: list[tuple[float, Reading]], policy: AlertPolicy = POLICY, alert: Alert | None = None
) -> tuple[Alert, list[tuple[float, Reason]]]:
    """Run readings at those seconds after noon; the alert at the end and what was told when."""
    alert = alert or an_alert()
    told = []
    for seconds, reading in steps:
        alert = advance(alert, reading, policy, at(seconds))
        reason = reason_to_notify(alert, policy, at(seconds))
        if reason is not None:
            told.append((seconds, reason))
            alert = notified(alert, reason, at(seconds))
    return alert, told


def readings(*steps: Step) -> list[tuple[float, Reading]]:
    return [(seconds, a_reading(warning, critical)) for seconds, warning, critical in steps]


def test_a_warning_fires_only_after_it_held_for_its_own_wait() -> None:
    alert, told = play(readings((0, BREACH, CLEAR), (29, BREACH, CLEAR)))
    assert alert.state is AlertState.PENDING
    assert told == []
    _, told = play(readings((30, BREACH, CLEAR)), alert=alert)
    assert told == [(30, Reason.FIRST)]


def test_a_critical_with_no_wait_fires_at_once_and_pre_empts_a_pending_warning() -> None:
    alert, told = play(readings((0, BREACH, CLEAR), (10, BREACH, BREACH)))
    assert (alert.state, alert.severity) == (AlertState.FIRING, CRIT)
    assert told == [(10, Reason.FIRST)]


def test_a_rise_while_pending_does_not_restart_the_wait_of_the_lower_severity() -> None:
    policy = a_policy(critical_for_s=60)
    alert, told = play(readings((0, BREACH, CLEAR), (29, BREACH, BREACH), (30, BREACH, BREACH)), policy)
    assert (alert.severity, told) == (WARN, [(30, Reason.FIRST)])
    alert, told = play(readings((89, BREACH, BREACH)), policy, alert)
    assert (alert.severity, told) == (CRIT, [(89, Reason.WORSE)])


def test_a_pending_alert_that_clears_goes_silently() -> None:
    alert, told = play(readings((0, BREACH, CLEAR), (20, CLEAR, CLEAR), (40, BREACH, CLEAR), (69, BREACH, CLEAR)))
    assert (alert.state, told) == (AlertState.PENDING, [])


def test_a_value_flickering_at_the_threshold_still_fires_since_the_band_keeps_its_start() -> None:
    _, told = play(readings((0, BREACH, CLEAR), (10, HOLD, CLEAR), (20, BREACH, CLEAR), (30, HOLD, CLEAR)))
    assert told == []
    _, told = play(readings((0, BREACH, CLEAR), (10, HOLD, CLEAR), (35, BREACH, CLEAR)))
    assert told == [(35, Reason.FIRST)]


def test_recovery_takes_the_keep_firing_wait_and_is_told_once() -> None:
    steps = readings(
        (0, BREACH, BREACH), (10, CLEAR, CLEAR), (309, CLEAR, CLEAR), (310, CLEAR, CLEAR), (320, CLEAR, CLEAR)
    )
    alert, told = play(steps)
    assert told == [(0, Reason.FIRST), (310, Reason.RESOLVED)]
    assert (alert.state, alert.resolved_at) == (AlertState.INACTIVE, None)


def test_coming_back_while_recovering_counts_as_a_flap_and_does_not_page() -> None:
    alert, told = play(readings((0, BREACH, BREACH), (10, CLEAR, CLEAR), (20, BREACH, BREACH)))
    assert told == [(0, Reason.FIRST)]
    assert (alert.state, alert.flaps) == (AlertState.FIRING, 1)


def test_the_band_brings_a_recovering_alert_back_without_a_page() -> None:
    alert, told = play(readings((0, BREACH, BREACH), (10, CLEAR, CLEAR), (20, HOLD, CLEAR)))
    assert (alert.state, alert.clear_at, told) == (AlertState.FIRING, None, [(0, Reason.FIRST)])


def test_a_rise_is_told_at_once_and_a_fall_is_silent() -> None:
    steps = readings((0, BREACH, CLEAR), (30, BREACH, CLEAR), (40, BREACH, BREACH), (50, BREACH, CLEAR))
    alert, told = play(steps)
    assert told == [(30, Reason.FIRST), (40, Reason.WORSE)]
    assert (alert.severity, alert.announced) == (WARN, CRIT)


def test_who_was_told_of_critical_and_of_no_fall_is_told_again_as_often_as_if_it_had_not_fallen() -> None:
    swing = [(40 + 20 * n, BREACH, BREACH if n % 2 == 0 else CLEAR) for n in range(33)]
    _, told = play(readings((0, BREACH, CLEAR), (30, BREACH, CLEAR), *swing))
    assert told == [(30, Reason.FIRST), (40, Reason.WORSE), (360, Reason.REPEAT), (680, Reason.REPEAT)]


def test_a_rise_after_a_repeat_that_said_warning_is_worse_again() -> None:
    day = 4 * 3600
    steps = readings((0, BREACH, BREACH), (10, BREACH, CLEAR), (day, BREACH, CLEAR), (day + 10, BREACH, BREACH))
    _, told = play(steps)
    assert told == [(0, Reason.FIRST), (day, Reason.REPEAT), (day + 10, Reason.WORSE)]


@pytest.mark.parametrize("repeat_s", [86_400, None])
@pytest.mark.parametrize(
    ("fallen_s", "again"), [(1_800, []), (3_590, []), (3_600, [Reason.WORSE]), (9_000, [Reason.WORSE])]
)
def test_a_rise_after_a_fall_of_an_hour_is_news_however_seldom_it_is_repeated(
    repeat_s: float | None, fallen_s: int, again: list[Reason]
) -> None:
    policy = a_policy(repeat_s={WARN: None, CRIT: repeat_s})
    low = [(10 + s, BREACH, CLEAR) for s in range(0, fallen_s + 1, 10)]
    _, told = play(readings((0, BREACH, BREACH), *low, (20 + fallen_s, BREACH, BREACH)), policy)
    assert [reason for _, reason in told] == [Reason.FIRST, *again]


@pytest.mark.parametrize("fast", [BREACH, CLEAR])
def test_time_spent_not_knowing_is_no_part_of_a_fall_nor_is_downtime(fast: Verdict) -> None:
    policy = a_policy(repeat_s={WARN: None, CRIT: None}, keep_firing_for_s=86_400)
    alert, _ = play(readings((0, BREACH, BREACH), (10, BREACH, CLEAR), (20, fast, CLEAR)), policy)
    alert = advance_unknown(alert, at(30))
    alert, told = play(readings((7_220, fast, CLEAR), (7_230, BREACH, BREACH)), policy, alert)
    assert told == []
    alert, _ = play(readings((7_240, BREACH, CLEAR), (7_250, fast, CLEAR)), policy, alert)
    alert = after_downtime(alert, at(7_250), at(20_000))
    assert play(readings((20_000, fast, CLEAR), (20_010, BREACH, BREACH)), policy, alert)[1] == []
    calm = readings(*((float(s), fast, CLEAR) for s in range(20_000, 24_000, 10)), (24_000, BREACH, BREACH))
    assert play(calm, policy, alert)[1] == [(24_000, Reason.WORSE)]


def test_an_acknowledged_critical_that_falls_and_rises_again_stays_acknowledged() -> None:
    policy = POLICY
    alert, _ = play(readings((0, BREACH, BREACH)))
    alert = acknowledge(alert, at(5))
    for reading in (a_reading(BREACH, CLEAR), a_reading(BREACH, BREACH)):
        alert = advance(alert, reading, policy, at(600))
        assert reason_to_notify(alert, policy, at(600)) is None
    assert reason_to_notify(alert, policy, at(5 + 30 * 60)) is Reason.REPEAT


def test_a_critical_inside_its_band_stays_critical() -> None:
    alert, told = play(readings((0, BREACH, BREACH), (10, BREACH, HOLD), (20, BREACH, BREACH)))
    assert (alert.severity, told) == (CRIT, [(0, Reason.FIRST)])


@pytest.mark.parametrize("state", list(AlertState))
def test_unknown_never_starts_clears_or_resolves_anything(state: AlertState) -> None:
    active = state is not AlertState.INACTIVE
    alert = an_alert(state=state, severity=WARN if active else None, clear_at=at(0), announced=WARN)
    after = alert
    for seconds in (10, 1000, 100_000):
        after = advance(after, a_reading(UNKNOWN), POLICY, at(seconds))
    assert after.state is state
    assert reason_to_notify(after, a_policy(repeat_s={WARN: None}), at(100_000)) is None


def test_time_spent_not_knowing_does_not_count_towards_recovery() -> None:
    steps = readings((0, BREACH, BREACH), (10, CLEAR, CLEAR), (20, UNKNOWN, UNKNOWN), (1000, CLEAR, CLEAR))
    alert, told = play(steps)
    assert (alert.state, told) == (AlertState.RECOVERING, [(0, Reason.FIRST)])
    _, told = play(readings((1289, CLEAR, CLEAR)), alert=alert)
    assert told == []
    _, told = play(readings((1290, CLEAR, CLEAR)), alert=alert)
    assert told == [(1290, Reason.RESOLVED)]


def test_a_pending_alert_keeps_its_start_over_unknown_reads() -> None:
    _, told = play(readings((0, BREACH, CLEAR), (10, UNKNOWN, UNKNOWN), (30, BREACH, CLEAR)))
    assert told == [(30, Reason.FIRST)]


def test_a_position_gone_in_two_good_reads_in_a_row_resolves_as_closed() -> None:
    alert, _ = play(readings((0, BREACH, BREACH)))
    once = advance_absent(alert, at(10))
    assert once.state is AlertState.FIRING
    still_there = advance_absent(advance(once, a_reading(BREACH, BREACH), POLICY, at(20)), at(30))
    assert still_there.state is AlertState.FIRING
    gone = advance_absent(advance_unknown(once, at(15)), at(20))
    assert (gone.state, gone.resolution) == (AlertState.INACTIVE, Resolution.POSITION_GONE)
    assert reason_to_notify(gone, POLICY, at(20)) is Reason.RESOLVED


def test_critical_repeats_every_five_minutes_and_warning_every_four_hours() -> None:
    _, told = play(readings(*((s, BREACH, BREACH) for s in range(0, 1001, 100))))
    assert told == [(0, Reason.FIRST), (300, Reason.REPEAT), (600, Reason.REPEAT), (900, Reason.REPEAT)]
    _, told = play(readings(*((s, BREACH, CLEAR) for s in range(0, 15_000, 30))))
    assert told == [(30, Reason.FIRST), (14_430, Reason.REPEAT)]


def test_an_acknowledgement_stops_repeats_for_half_an_hour_and_then_pages_again() -> None:
    alert, _ = play(readings((0, BREACH, BREACH)))
    alert = acknowledge(alert, at(60))
    _, told = play(readings(*((s, BREACH, BREACH) for s in range(100, 2000, 10))), alert=alert)
    assert told[0] == (1860, Reason.REPEAT)


def test_an_acknowledged_alert_that_gets_worse_pages_all_the_same() -> None:
    alert, _ = play(readings((0, BREACH, CLEAR), (30, BREACH, CLEAR)))
    _, told = play(readings((70, BREACH, BREACH)), alert=acknowledge(alert, at(60)))
    assert told == [(70, Reason.WORSE)]


def test_a_rise_ends_the_acknowledgement_of_what_was_less() -> None:
    alert, _ = play(readings((0, BREACH, CLEAR), (30, BREACH, CLEAR)))
    _, told = play(readings(*((s, BREACH, BREACH) for s in range(70, 700, 10))), alert=acknowledge(alert, at(60)))
    assert told == [(70, Reason.WORSE), (370, Reason.REPEAT), (670, Reason.REPEAT)]


def test_a_worse_level_alone_neither_raises_the_alert_before_its_own_wait_nor_ends_it() -> None:
    policy = a_policy(warning_for_s=0, critical_for_s=60)
    alert, told = play(readings((0, BREACH, CLEAR), (10, CLEAR, BREACH), (69, CLEAR, BREACH)), policy)
    assert (alert.state, alert.severity, told) == (AlertState.FIRING, WARN, [(0, Reason.FIRST)])
    _, told = play(readings((70, CLEAR, BREACH)), policy, alert)
    assert told == [(70, Reason.WORSE)]


def test_a_long_downtime_counts_towards_no_wait_of_a_worse_level() -> None:
    policy = a_policy(warning_for_s=0, critical_for_s=60)
    alert, _ = play(readings((0, BREACH, BREACH)), policy)
    kept, forgotten = after_downtime(alert, at(5), at(605)), after_downtime(alert, at(5), at(606))
    assert play(readings((605, BREACH, BREACH)), policy, kept)[1] == [(605, Reason.WORSE)]
    steps = readings((606, BREACH, BREACH), (665, BREACH, BREACH), (666, BREACH, BREACH))
    assert play(steps, policy, forgotten)[1] == [(666, Reason.WORSE)]


def test_the_third_firing_within_half_an_hour_is_told_once_a_quarter_of_an_hour() -> None:
    policy = a_policy(keep_firing_for_s=0)
    episodes = [(float(s), BREACH if i % 2 == 0 else CLEAR) for i, s in enumerate(range(0, 1000, 100))]
    _, told = play([(s, a_reading(v, v)) for s, v in episodes], policy)
    firsts = [s for s, reason in told if reason is Reason.FIRST]
    assert firsts == [0, 200]
    assert [s for s, reason in told if reason is Reason.RESOLVED] == [100, 300]
    alert, _ = play([(s, a_reading(v, v)) for s, v in episodes[:5]], policy)
    _, told = play([(s, a_reading(BREACH, BREACH)) for s in range(450, 2000, 50)], policy, alert)
    assert told[0] == (1200, Reason.FIRST)


def test_a_flapping_warning_that_turns_critical_is_told_at_once() -> None:
    policy = a_policy(keep_firing_for_s=0, warning_for_s=0)
    flapping = readings((0, BREACH, CLEAR), (10, CLEAR, CLEAR), (20, BREACH, CLEAR), (30, CLEAR, CLEAR))
    _, told = play([*flapping, *readings((40, BREACH, BREACH))], policy)
    assert told[-1] == (40, Reason.FIRST)


def test_a_rise_above_a_muted_flapping_warning_is_told_although_as_much_was_told_before_it() -> None:
    policy = a_policy(keep_firing_for_s=0, warning_for_s=0)
    critical_twice = readings((0, BREACH, BREACH), (10, CLEAR, CLEAR), (20, BREACH, BREACH), (30, CLEAR, CLEAR))
    _, told = play([*critical_twice, *readings((40, BREACH, CLEAR), (50, BREACH, BREACH))], policy)
    assert told[-2:] == [(30, Reason.RESOLVED), (50, Reason.FIRST)]
    _, told = play([*critical_twice, *readings((40, BREACH, CLEAR), (50, CLEAR, CLEAR), (60, BREACH, BREACH))], policy)
    assert told[-2:] == [(30, Reason.RESOLVED), (60, Reason.FIRST)]


def test_a_removed_rule_resolves_what_was_firing_and_drops_what_was_pending_silently() -> None:
    firing, _ = play(readings((0, BREACH, BREACH)))
    ended = end(firing, Resolution.REMOVED, at(10))
    assert (ended.resolution, reason_to_notify(ended, POLICY, at(10))) == (Resolution.REMOVED, Reason.RESOLVED)
    pending, _ = play(readings((0, BREACH, CLEAR)))
    dropped = end(pending, Resolution.REMOVED, at(10))
    assert (dropped.state, reason_to_notify(dropped, POLICY, at(10))) == (AlertState.INACTIVE, None)


def test_a_short_restart_keeps_a_pending_alert_and_a_long_one_drops_it() -> None:
    pending, _ = play(readings((0, BREACH, CLEAR)))
    assert after_downtime(pending, at(5), at(600)).state is AlertState.PENDING
    assert after_downtime(pending, at(5), at(606)).state is AlertState.INACTIVE


def test_downtime_does_not_count_towards_recovery() -> None:
    recovering, _ = play(readings((0, BREACH, BREACH), (10, CLEAR, CLEAR)))
    alert = after_downtime(recovering, at(20), at(5000))
    _, told = play(readings((5000, CLEAR, CLEAR), (5289, CLEAR, CLEAR), (5290, CLEAR, CLEAR)), alert=alert)
    assert told == [(5290, Reason.RESOLVED)]


def test_the_worst_value_is_kept_for_the_message_and_forgotten_with_the_episode() -> None:
    steps = [(0.0, a_reading(BREACH, BREACH, value=v)) for v in (0.8, 0.9, 0.85)]
    alert, _ = play(steps, a_policy(keep_firing_for_s=0))
    resolved = advance(alert, a_reading(CLEAR, value=0.1), a_policy(keep_firing_for_s=0), at(10))
    assert resolved.worst_value == 0.9
    again = advance(resolved, a_reading(BREACH, BREACH, value=0.81), POLICY, at(20))
    assert (again.worst_value, again.episode) == (0.81, 2)


verdicts = st.sampled_from(
    [(CLEAR, CLEAR), (HOLD, CLEAR), (BREACH, CLEAR), (BREACH, HOLD), (BREACH, BREACH), (UNKNOWN, UNKNOWN)]
)


@given(st.lists(st.tuples(st.sampled_from([1.0, 10.0, 40.0, 400.0]), verdicts | st.just(None)), max_size=60))
def test_every_episode_reads_first_then_repeats_or_worse_then_resolved(
    steps: list[tuple[float, tuple[Verdict, Verdict] | None]],
) -> None:
    alert, now, open_episode = an_alert(), at(0), False
    for wait, verdict in steps:
        now = datetime.fromtimestamp(now.timestamp() + wait, now.tzinfo)
        before = alert
        alert = advance_absent(alert, now) if verdict is None else advance(alert, a_reading(*verdict), POLICY, now)
        if verdict == (UNKNOWN, UNKNOWN):
            assert alert.is_active == before.is_active
        reason = reason_to_notify(alert, POLICY, now)
        if reason is None:
            continue
        assert verdict != (UNKNOWN, UNKNOWN) or reason is not Reason.RESOLVED
        assert (reason is Reason.FIRST) != open_episode, "FIRST opens an episode, and only FIRST does"
        open_episode = reason is not Reason.RESOLVED
        alert = notified(alert, reason, now)

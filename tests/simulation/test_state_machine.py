"""One alert's life against the oracle: any steps in any order, and a seeded walk; and proof that faults are noticed."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from monitor.domain import alert as alert_module
from monitor.domain.reading import Severity, Verdict
from tests.simulation import states
from tests.simulation.states import KNOWN, PASSES_S, REPEATS_S, WAITS_S, Machine, Setting, Step, What, live

RECOVERED = alert_module.Resolution.RECOVERED

waits = st.tuples(*[st.sampled_from(WAITS_S)] * 3)
repeats = st.tuples(*[st.sampled_from(REPEATS_S)] * 3)
passes = st.sampled_from(PASSES_S) | st.floats(0, 3600)
verdicts = st.dictionaries(st.sampled_from(list(Severity)), st.sampled_from(KNOWN), min_size=1)
others = st.sampled_from([what for what in What if what is not What.READING])


class AlertLife(RuleBasedStateMachine):
    machine: Machine

    @initialize(for_s=waits, keep_firing_for_s=waits, repeat_s=repeats)
    def begin(self, for_s: Any, keep_firing_for_s: Any, repeat_s: Any) -> None:
        self.machine = Machine(Setting(for_s, keep_firing_for_s, repeat_s))

    @rule(wait_s=passes, said=verdicts, muted=st.booleans())
    def read(self, wait_s: float, said: dict[Severity, Verdict], muted: bool) -> None:
        self.machine.do(Step(What.READING, wait_s, said, muted))

    @rule(wait_s=passes, verdict=st.sampled_from(KNOWN))
    def read_the_same_at_both_levels(self, wait_s: float, verdict: Verdict) -> None:
        self.machine.do(Step(What.READING, wait_s, {Severity.WARNING: verdict, Severity.CRITICAL: verdict}))

    @rule(wait_s=passes, what=others, muted=st.booleans())
    def something_else_happens(self, wait_s: float, what: What, muted: bool) -> None:
        self.machine.do(Step(what, wait_s, muted=muted))


AlertLife.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestAlertLife = AlertLife.TestCase


@pytest.mark.parametrize("seed", range(20))
def test_a_walk_of_a_thousand_steps_says_what_the_oracle_says(seed: int) -> None:
    _, failure = live(random.Random(f"walk:{seed}"), 1_000)
    assert failure is None


def test_the_walks_reach_every_kind_of_message() -> None:
    told = sum((live(random.Random(f"walk:{seed}"), 1_000)[0] for seed in range(8)), Counter[str]())
    assert all(told[kind] > 50 for kind in ("first", "repeat", "worse", "resolved")), told


# Each takes the place of what it is named after, and is wrong in one way.
FAULTS: dict[str, Callable[[Any], Any]] = {
    "advance_unknown": lambda right: lambda alert, now: alert_module.end(alert, RECOVERED, now),
    "acknowledge": lambda right: lambda alert, now: alert,
    "after_downtime": lambda right: lambda alert, last, now: alert,
    "advance_absent": lambda right: lambda alert, now: right(replace(alert, absent_reads=1), now),
    "notified": lambda right: lambda alert, reason, now: replace(right(alert, reason, now), last_told=None),
    "end": lambda right: lambda alert, resolution, now: alert_module.Alert(key=alert.key, episode=alert.episode),
}
INNER_FAULTS: dict[str, Callable[[Any], Any]] = {
    "_muted_as_flapping": lambda right: lambda alert, now: False,
    "_fallen": lambda right: (
        lambda alert, severity, now: replace(right(alert, severity, now), announced=alert.announced)
    ),
    "_resumed": lambda right: lambda alert, now: replace(alert, paused_at=None),
    "_breached_since": lambda right: lambda alert, reading, now: dict.fromkeys(right(alert, reading, now), now),
    "_while_clear": lambda right: lambda alert, policy, now: alert_module._resolved(alert, RECOVERED, now),
    "_due": lambda right: lambda alert, reading, policy, now: right(alert, reading, policy, now) and Severity.CRITICAL,
}


@pytest.mark.parametrize(
    ("module", "name", "fault"),
    [(states, name, fault) for name, fault in FAULTS.items()]
    + [(alert_module, name, fault) for name, fault in INNER_FAULTS.items()],
)
def test_a_fault_in_the_transitions_is_noticed(
    module: Any, name: str, fault: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, fault(getattr(module, name)))
    assert any(live(random.Random(f"fault:{seed}"), 500)[1] is not None for seed in range(20))

"""One alert key against the oracle, step by step: `python -m tests.simulation.states --transitions 1000000 --seed 1`.

A step is a value, so that hypothesis and the long run drive the same machine, and a failing run can be printed.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from monitor.domain.alert import (
    Alert,
    AlertPolicy,
    LevelPolicy,
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
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from tests.simulation.oracle import Oracle, Told, Waits

START = datetime(2025, 10, 10, tzinfo=UTC)
KEY = AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT")
# What may follow what in one episode; None is before its first message.
MAY_FOLLOW = {
    None: {"first"},
    "first": {"repeat", "worse", "resolved"},
    "repeat": {"repeat", "worse", "resolved"},
    "worse": {"repeat", "worse", "resolved"},
    "resolved": set[str](),
}
STEPS_A_LIFE = 500


class What(StrEnum):
    READING = "reading"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    REMOVED = "removed"
    RESTART = "restart"
    ACKNOWLEDGE = "acknowledge"


@dataclass(frozen=True, slots=True)
class Step:
    """After `wait_s`, this happens. `verdicts` of a READING by severity; `muted`: a silence is in force."""

    what: What
    wait_s: float
    verdicts: Mapping[Severity, Verdict] = field(default_factory=dict)
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """The waits of one life, by severity in their order."""

    for_s: tuple[float, float, float]
    keep_firing_for_s: tuple[float, float, float]
    repeat_s: tuple[float | None, float | None, float | None]

    def policy(self) -> AlertPolicy:
        return AlertPolicy(
            {
                severity: LevelPolicy(
                    for_s=self.for_s[severity],
                    keep_firing_for_s=self.keep_firing_for_s[severity],
                    group_wait_s=0.0,
                    repeat_s=self.repeat_s[severity],
                )
                for severity in Severity
            }
        )

    def waits(self) -> Waits:
        levels = [int(severity) for severity in Severity]
        return Waits(
            for_s=dict(zip(levels, self.for_s, strict=True)),
            keep_firing_for_s=dict(zip(levels, self.keep_firing_for_s, strict=True)),
            repeat_s=dict(zip(levels, self.repeat_s, strict=True)),
        )


class Machine:
    """The production's transitions, composed as the pipeline composes them, beside the oracle's."""

    def __init__(self, setting: Setting) -> None:
        self.alert = Alert(key=KEY)
        self.oracle = Oracle(setting.waits())
        self.told: Counter[str] = Counter()
        self._policy = setting.policy()
        self._at_s = 0.0
        self._last: tuple[int, str | None] = (0, None)

    def do(self, step: Step) -> None:
        """AssertionError where the two part, or an episode's messages are out of order."""
        before_s, before = self._at_s, self.alert
        self._at_s += step.wait_s
        said, expected = self._said(step, before_s), self._expected(step, before_s)
        assert said == expected, f"{step} at {self._at_s}: said {said}, due was {expected}"
        assert self.alert.is_firing == self.oracle.firing, f"{step}: {self.alert.state}"
        assert self.alert.episode >= before.episode
        if step.what is What.UNKNOWN:
            assert said is None or said.kind != "resolved"
            assert self.alert.is_firing == before.is_firing, "what is not known neither fires nor resolves"
        if said is not None:
            self._follows(said)

    def _follows(self, said: Told) -> None:
        episode, kind = self._last
        before = kind if episode == said.episode else None
        assert said.kind in MAY_FOLLOW[before], f"{said} after {self._last}"
        self._last = (said.episode, said.kind)
        self.told[said.kind] += 1

    def _said(self, step: Step, before_s: float) -> Told | None:
        now = START + timedelta(seconds=self._at_s)
        match step.what:
            case What.RESTART:
                self.alert = after_downtime(self.alert, START + timedelta(seconds=before_s), now)
                return None
            case What.ACKNOWLEDGE:
                self.alert = acknowledge(self.alert, now)
                return None
            case What.READING:
                self.alert = advance(self.alert, _reading(step.verdicts), self._policy, now)
            case What.UNKNOWN:
                self.alert = advance_unknown(self.alert, now)
            case What.ABSENT:
                self.alert = advance_absent(self.alert, now)
            case What.REMOVED:
                self.alert = end(self.alert, Resolution.REMOVED, now)
        reason = reason_to_notify(self.alert, self._policy, now)
        if reason is None or (step.muted and reason is not Reason.RESOLVED):
            return None
        self.alert = notified(self.alert, reason, now)
        assert self.alert.severity is not None
        return Told(str(reason), self.alert.episode, int(self.alert.severity))

    def _expected(self, step: Step, before_s: float) -> Told | None:
        now, oracle = self._at_s, self.oracle
        match step.what:
            case What.RESTART:
                oracle.restarted(before_s, now)
            case What.ACKNOWLEDGE:
                oracle.acknowledged(now)
            case What.READING:
                return oracle.see(now, {int(s): str(v) for s, v in step.verdicts.items()}, step.muted)
            case What.UNKNOWN:
                return oracle.see_nothing(now, step.muted)
            case What.ABSENT:
                return oracle.absent(now, step.muted)
            case What.REMOVED:
                return oracle.removed(now)
        return None


def _reading(verdicts: Mapping[Severity, Verdict]) -> Reading:
    levels = tuple(Level(severity, verdicts[severity], 0.5) for severity in sorted(verdicts))
    return Reading(key=KEY, levels=levels, value=0.5, unit=Unit.RATIO)


# --- the long run ---

KNOWN = (Verdict.BREACH, Verdict.HOLD, Verdict.CLEAR)
WAITS_S = (0.0, 15.0, 30.0, 120.0, 300.0)
REPEATS_S = (None, 60.0, 300.0, 1800.0)
PASSES_S = (0.0, 1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 601.0, 900.0, 1800.0, 4 * 3600.0)
LEVELS = ((Severity.WARNING, Severity.CRITICAL), (Severity.WARNING,), (Severity.CRITICAL,), tuple(Severity))


def a_setting(dice: random.Random) -> Setting:
    info, warning, critical = (dice.choice(REPEATS_S) for _ in range(3))
    for_s, keep_s = (tuple(dice.choice(WAITS_S) for _ in range(3)) for _ in range(2))
    return Setting((for_s[0], for_s[1], for_s[2]), (keep_s[0], keep_s[1], keep_s[2]), (info, warning, critical))


def a_step(dice: random.Random, levels: tuple[Severity, ...], leaning: Verdict) -> Step:
    """Readings mostly lean to one verdict for a while, so that waits are outlived."""
    what = dice.choices(list(What), (70, 12, 6, 1, 4, 4))[0]
    verdicts = {severity: leaning if dice.random() < 0.7 else dice.choice(KNOWN) for severity in levels}
    wait_s = dice.choice(PASSES_S[:9] if dice.random() < 0.9 else PASSES_S)
    return Step(what, wait_s, verdicts if what is What.READING else {}, dice.random() < 0.05)


def live(dice: random.Random, steps: int) -> tuple[Counter[str], str | None]:
    """One key's life: what was told, and how it failed, if it did."""
    setting, levels = a_setting(dice), dice.choice(LEVELS)
    machine, leaning = Machine(setting), dice.choice(KNOWN)
    for number in range(steps):
        if dice.random() < 0.1:
            leaning = dice.choice(KNOWN)
        try:
            machine.do(a_step(dice, levels, leaning))
        except AssertionError as error:
            return machine.told, f"step {number} under {setting}: {error}"
    return machine.told, None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.simulation.states")
    parser.add_argument("--transitions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began, told, divergences = time.process_time(), Counter[str](), 0
    edges = [*range(0, options.transitions, STEPS_A_LIFE), options.transitions]
    for life, (first, last) in enumerate(pairwise(edges)):
        said, failure = live(random.Random(f"{options.seed}:{life}"), last - first)
        told += said
        if failure is not None:
            divergences += 1
            print(f"seed {options.seed}, life {life}, {failure}", file=sys.stderr)
    print(f"transitions {options.transitions:,}, divergences {divergences}, messages compared {dict(told)}")
    print(f"{options.transitions / (time.process_time() - began):,.0f} transitions per CPU second")
    return 1 if divergences else 0


if __name__ == "__main__":
    sys.exit(main())

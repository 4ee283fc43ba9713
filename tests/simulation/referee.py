"""Holds every judgement of the monitor against the oracle's, as it is made, and knows what a crash takes back.

It hears of each read before the pipeline does, works out verdicts (judge.py) and what must be said of them (oracle.py),
and compares with what is then handed to the store. An oracle that moved keeps its former self until the move is on
disk; a killed process goes back to that.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from monitor.blindness import Sight
from monitor.domain.account import AccountSnapshot, End, Observation
from monitor.domain.alert import Alert, Reason, has_only_fresher_figures
from monitor.domain.market import Markets
from monitor.domain.notification import Notification
from monitor.domain.reading import AlertKey, Scope
from monitor.plan import AccountPlan
from monitor.store.records import ALERT, Changes, Row
from tests.simulation.judge import verdicts_of
from tests.simulation.ledger import Ledger
from tests.simulation.oracle import BREACH, CLEAR, CRITICAL, HOLD, WARNING, Oracle, Told, Waits
from tests.simulation.plan import ACCOUNTS, Plan
from tests.simulation.records import Records
from tests.simulation.takings import BAD_ENDS, Takings, bad_end, names_of

BLIND = "blind"
# (warning, critical) at the default poll interval of 10 s.
BLIND_AFTER_S = (30.0, 60.0)


class Referee:
    """`problems` says where monitor and oracle part. `owes_the_disk` tells whether something decided is not written."""

    def __init__(
        self,
        world_plan: Plan,
        ledger: Ledger,
        records: Records,
        time: Callable[[], float],
        owes_the_disk: Callable[[], bool],
    ) -> None:
        self.problems: list[str] = []
        self.takings = Takings(world_plan, ledger, records, time, self.problems)
        self.transitions = 0
        self._ledger, self._time, self._owes_the_disk = ledger, time, owes_the_disk
        self._oracles: dict[AlertKey, Oracle] = {}
        # Those that are not active would say nothing to a clear read, and are not asked.
        self._awake: dict[AlertKey, None] = {}
        self._waits_of: dict[tuple[int, str], tuple[AccountPlan, Waits]] = {}
        self._due: dict[AlertKey, tuple[Told, AccountPlan]] = {}
        self._before: dict[AlertKey, Oracle | None] = {}
        self._decided: dict[AlertKey, Alert] = {}
        self._last_good: dict[str, set[datetime | None]] = {}

    # --- what happens ---

    def starts_read(self, account: str) -> None:
        """The account's last read is judged and written by now."""
        self._nothing_due(account, is_blind=False)
        self.takings.nothing_due(account)
        self._forget_before(account, is_blind=False)

    def reads(self, plan: AccountPlan, observation: Observation, markets: Markets, now: datetime) -> None:
        at = now.timestamp()
        seen: set[AlertKey] = set()
        ends: list[End] = []
        if isinstance(observation, AccountSnapshot):
            self._last_good.setdefault(plan.name, set()).add(observation.observed_at)
            ends = self.takings.reads(plan, observation, now)
            for key, verdicts in verdicts_of(plan, observation, markets, now):
                seen.add(key)
                if verdicts is None:
                    self._move(key, plan, lambda oracle: oracle.see_nothing(at))
                elif key in self._awake or any(verdict != CLEAR for verdict in verdicts.values()):
                    self._move(key, plan, lambda oracle, v=verdicts: oracle.see(at, v))  # type: ignore[misc]
        for key in [key for key in self._awake if key.account == plan.name and key.rule != BLIND]:
            if key in seen:
                continue
            if not plan.knows(key):
                self._move(key, plan, lambda oracle: oracle.removed(at))
            elif how := self._taken(key, observation, ends):
                self._move(key, plan, lambda oracle, how=how: oracle.removed(at, how))  # type: ignore[misc]
            elif isinstance(observation, AccountSnapshot):
                self._move(key, plan, lambda oracle: oracle.absent(at))
            else:
                self._move(key, plan, lambda oracle: oracle.see_nothing(at))

    def judges_ages(self, plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], now: datetime) -> None:
        for name, sight in sights.items():
            self._nothing_due(name, is_blind=True)
            self._forget_before(name, is_blind=True)
            if sight.last_read_at is not None and sight.last_read_at not in self._last_good.get(name, set()):
                self.problems.append(f"{self._time():.1f}: {name} claims a good read that never was")
            key = AlertKey(BLIND, name, Scope.ACCOUNT, name)
            age_s = (now - (sight.last_read_at or sight.since)).total_seconds()
            young = HOLD if sight.last_read_at is None else CLEAR
            verdicts = {WARNING: BREACH if age_s >= BLIND_AFTER_S[0] else young}
            if sight.positions != 0:
                verdicts[CRITICAL] = BREACH if age_s >= BLIND_AFTER_S[1] else young
            if key in self._awake or BREACH in verdicts.values():
                self._move(key, plans[name], lambda oracle, v=verdicts: oracle.see(now.timestamp(), v))  # type: ignore[misc]

    def removes(self, new: Mapping[str, AccountPlan], now: datetime) -> None:
        """A configuration is taken: what it no longer has ends."""
        anybody = next(iter(new.values()))
        for name in ACCOUNTS:
            if name not in new:
                self.takings.leaves(name)
        for key in list(self._awake):
            plan = new.get(key.account)
            if plan is None or not plan.knows(key):
                self._move(key, plan or anybody, lambda oracle: oracle.removed(now.timestamp()))

    def takes_up(self, last_alive: datetime, now: datetime) -> None:
        """A new process has loaded what the last one left. Of a clock set back meanwhile the times go with it."""
        for key in self._oracles if last_alive > now else self._awake:
            oracle = self._oracles[key]
            self._before.setdefault(key, oracle.copy())
            oracle.restarted(last_alive.timestamp(), now.timestamp())

    def applies(self, changes: Changes) -> None:
        """What the monitor decided is handed to the store: it must be what the oracle decided."""
        if changes.alerts:
            rows: dict[AlertKey, list[Notification]] = {}
            for row in changes.enqueue:
                rows.setdefault(row.key, []).append(row)
            for alert in changes.alerts:
                self._decided[alert.key] = alert
                self._compare(alert, rows.get(alert.key, []))
        self._ledger.enqueue(changes.enqueue)
        self._ledger.change(changes.notifications)
        self.takings.applies(changes)

    def on_disk(self, rows: Mapping[AlertKey, Row | None]) -> None:
        """What was written may be older than what was decided since: then a crash goes back to it."""
        for key, row in rows.items():
            if key in self._before and (row is None or self._is_latest(key, ALERT.validate_json(row["body"]))):
                del self._before[key]

    def _is_latest(self, key: AlertKey, written: Alert) -> bool:
        decided = self._decided.get(key)
        return decided is None or decided == written or has_only_fresher_figures(decided, written)

    def process_ends(self) -> None:
        """What is not on disk never was."""
        for key, oracle in self._before.items():
            self._awake[key] = None
            if oracle is None:
                del self._oracles[key], self._awake[key]
            else:
                self._oracles[key] = oracle
        self._before.clear()
        self._decided.clear()
        self._due.clear()
        self._last_good.clear()
        self.takings.process_ends()

    def open_episodes(self) -> set[tuple[AlertKey, int]]:
        return {(key, oracle.episode) for key, oracle in self._oracles.items() if oracle.firing}

    # --- how it is held together ---

    def _taken(self, key: AlertKey, observation: Observation, ends: list[End]) -> str | None:
        """What the venue did last to what this alert is of, and what is not there any more."""
        if not isinstance(observation, AccountSnapshot):
            return None
        held, oracle = {position.subject for position in observation.positions}, self._oracles[key]
        of = [end for end in ends if key.subject in names_of(end) and names_of(end)[0] not in held]
        return str(of[-1].kind) if of and oracle.concerns(of[-1].at.timestamp()) else None

    def _move(self, key: AlertKey, plan: AccountPlan, act: Callable[[Oracle], Told | None]) -> None:
        oracle = self._oracles.get(key)
        if key not in self._before:
            self._before[key] = None if oracle is None else oracle.copy()
        if oracle is None:
            oracle = self._oracles[key] = Oracle(self._waits(plan, key))
        self._awake[key] = None
        oracle.waits = self._waits(plan, key)
        told = act(oracle)
        if not oracle.is_active:
            del self._awake[key]
        self.transitions += 1
        if told is not None:
            self._due[key] = (told, plan)

    def _compare(self, alert: Alert, rows: list[Notification]) -> None:
        key = alert.key
        oracle = self._oracles.get(key)
        if oracle is None:
            self.problems.append(f"{self._time():.1f}: {key} moves, and nothing was to be seen of it")
            return
        if alert.is_firing != oracle.firing:
            self.problems.append(f"{self._time():.1f}: {key} is {alert.state}, the oracle says firing={oracle.firing}")
        told, plan = self._due.pop(key, (None, None))
        if told is None or plan is None:
            if rows:
                self.problems.append(f"{self._time():.1f}: {key}: {rows[0].reason} was told, nothing was due")
            return
        owed = self._owed(key, told, plan)
        got = {row.target: (bad_end(row) or str(row.reason), row.episode, int(row.severity)) for row in rows}
        if got != owed:
            self.problems.append(f"{self._time():.1f}: {key}: told {got}, due was {owed}")

    def _owed(self, key: AlertKey, told: Told, plan: AccountPlan) -> dict[str, tuple[str, int, int]]:
        """By target what it must be told; who hears of an episode for the first time reads of its beginning."""
        heard = {
            row.target
            for row in self._ledger.owed
            if (row.key, row.episode) == (key, told.episode) and row.reason is not Reason.RESOLVED
            if row not in self._ledger.given_up and row not in self._ledger.forgotten
        }
        if told.kind in ("resolved", *BAD_ENDS):
            severity = CRITICAL if told.kind in BAD_ENDS else told.severity
            return dict.fromkeys(heard & plan.channels, (told.kind, told.episode, severity))
        targets = next(t for severity, t in plan.targets.items() if int(severity) == told.severity)
        return {t: (told.kind if t in heard else "first", told.episode, told.severity) for t in targets}

    def _waits(self, plan: AccountPlan, key: AlertKey) -> Waits:
        known = self._waits_of.get((id(plan), key.rule))
        if known is None or known[0] is not plan:
            known = self._waits_of[id(plan), key.rule] = (plan, _waits(plan, key))
        return known[1]

    def _nothing_due(self, account: str, *, is_blind: bool) -> None:
        for key in [k for k in self._due if k.account == account and (k.rule == BLIND) is is_blind]:
            told, _ = self._due.pop(key)
            self.problems.append(f"{self._time():.1f}: {key}: {told} was due and was not told")

    def _forget_before(self, account: str, *, is_blind: bool) -> None:
        if self._before and not self._owes_the_disk():
            for key in [k for k in self._before if k.account == account and (k.rule == BLIND) is is_blind]:
                del self._before[key]


def _waits(plan: AccountPlan, key: AlertKey) -> Waits:
    policy = plan.policies.get(key.rule, plan.policies["unassessed"])
    levels = {int(severity): level for severity, level in policy.levels.items()}
    return Waits(
        for_s={severity: level.for_s for severity, level in levels.items()},
        keep_firing_for_s={severity: level.keep_firing_for_s for severity, level in levels.items()},
        repeat_s={severity: level.repeat_s for severity, level in levels.items()},
    )

"""What the venue took must be told: each end that its records show, once to every channel of critical alerts.

An end is told in one of two ways: by the end of an alert of its position (or isolated pool), or by a notice. What the
venue has shown must be in the next good read's messages; what happened must have been asked for in time. Whether a
message is on the disk is the ledger's to know, so that a crash takes back here what it takes back there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from monitor.domain.account import AccountSnapshot, End
from monitor.domain.notification import AlertFacts, Notification
from monitor.domain.reading import AlertKey, Severity
from monitor.plan import AccountPlan
from monitor.store.records import Changes
from tests.simulation.ledger import Identity, Ledger, identity
from tests.simulation.plan import Plan
from tests.simulation.records import Record, Records
from tests.simulation.world import START

TAKEN = "taken"
BAD_ENDS = ("liquidated", "auto-deleveraged")
# The records are asked for so long after the read that shows a position gone or smaller.
ASKED_FOR_S = 300.0
# And for what happened so long before the last sight of it, since clocks differ.
BEFORE_S = 60.0


class Unit(NamedTuple):
    """What one message tells: all that was taken of a position within a second."""

    account: str
    subject: str
    second: int


class Sight(NamedTuple):
    """A good read: when it was, how far the monitor's clock was ahead of the venue's, contracts by position."""

    time: float
    ahead_s: float
    sizes: dict[str, float]


class Owed(NamedTuple):
    """A record that must be asked for, since the read at `seen_at` showed what it left."""

    unit: Unit
    record: Record
    seen_at: float


def bad_end(row: Notification) -> str | None:
    """The venue's deed that this end of an alert tells of."""
    how = str(row.facts.resolution) if isinstance(row.facts, AlertFacts) else ""
    return how if how in BAD_ENDS else None


def unit_of(account: str, end: End) -> Unit:
    return Unit(account, f"{end.instrument.symbol} {end.side}", int(end.at.timestamp()))


def names_of(end: End) -> tuple[str, str]:
    """The position and, where it had one, the margin pool of its own."""
    symbol = end.instrument.symbol
    return f"{symbol} {end.side}", f"isolated:{symbol}:{end.side}"


class Takings:
    def __init__(
        self, plan: Plan, ledger: Ledger, records: Records, time: Callable[[], float], problems: list[str]
    ) -> None:
        self._plan, self._ledger, self._records, self._time = plan, ledger, records, time
        self._problems = problems
        # Of this life: what the venue has shown, in order, and how much of it is older than the last good read.
        self._shown: dict[str, dict[End, None]] = defaultdict(dict)
        self._handed: dict[str, int] = {}
        self._due: dict[str, tuple[AccountPlan, list[End]]] = {}
        # Of all lives.
        self._told: dict[tuple[Unit, str], set[Identity]] = defaultdict(set)
        self._sights: dict[str, Sight] = {}
        self._owed: list[Owed] = []

    # --- what happens ---

    def shown(self, account: str, ends: Sequence[End]) -> None:
        """A reply of the venue has reached the monitor."""
        self._shown[account].update(dict.fromkeys(ends))

    def reads(self, plan: AccountPlan, snapshot: AccountSnapshot, now: datetime) -> list[End]:
        """A good read: what was shown since the one before, oldest first, must be told now."""
        shown = list(self._shown[plan.name])
        fresh = sorted(shown[self._handed.get(plan.name, 0) :], key=lambda end: end.at)
        self._handed[plan.name] = len(shown)
        if fresh:
            self._due[plan.name] = (plan, fresh)
        self._see(plan.name, snapshot, (now - START).total_seconds() - self._time())
        return fresh

    def applies(self, changes: Changes) -> None:
        """The ledger knows of these rows already."""
        rows = [row for row in changes.enqueue if row.key.rule == TAKEN or bad_end(row)]
        for account in dict.fromkeys(row.key.account for row in rows):
            plan, ends = self._due.pop(account, (None, []))
            units = dict.fromkeys(unit_of(account, end) for end in ends)
            were_told = {unit for unit in units if any(self._ways(unit, target) for target in self._targets(unit))}
            for row in rows:
                if row.key.account == account:
                    self._take(row, units)
            for unit in units:
                self._judge(unit, () if unit in were_told or plan is None else plan.targets[Severity.CRITICAL])

    def nothing_due(self, account: str) -> None:
        """The last read of the account is judged by now."""
        plan, ends = self._due.pop(account, (None, []))
        if plan is not None and plan.targets[Severity.CRITICAL]:
            for unit in dict.fromkeys(unit_of(account, end) for end in ends):
                if not any(self._ways(unit, target) for target in self._targets(unit)):
                    self._say(f"{unit} was shown and was not told")

    def leaves(self, account: str) -> None:
        """It is not watched any more."""
        self._shown.pop(account, None)
        self._handed.pop(account, None)
        self._due.pop(account, None)
        self._sights.pop(account, None)
        self._owed = [owed for owed in self._owed if owed.unit.account != account]

    def process_ends(self) -> None:
        """The next one asks for what the last one may not have told."""
        self._shown.clear()
        self._handed.clear()
        self._due.clear()

    def settle(self) -> None:
        """The end: what was to be seen in time was asked for, and told."""
        for unit, record, seen_at in self._owed:
            if not any(self._ways(unit, target) for target in self._targets(unit)):
                self._say(f"{unit} of {record.at:.1f}, shown from {record.shown_from:.1f}, seen {seen_at:.1f}: not told")

    # --- how it is held together ---

    def _see(self, account: str, snapshot: AccountSnapshot, ahead_s: float) -> None:
        time = self._time()
        sizes = {position.subject: position.contracts for position in snapshot.positions}
        before, self._sights[account] = self._sights.get(account), Sight(time, ahead_s, sizes)
        if before is None or not self._plan.has_records:
            return
        for record in self._records.between(account, before.time - BEFORE_S, time):
            subject, _ = names_of(record.end)
            is_less = sizes.get(subject, 0.0) < before.sizes.get(subject, 0.0)
            if is_less and before.ahead_s < BEFORE_S - 1 and self._is_shown_in_time(account, record, time):
                self._owed.append(Owed(unit_of(account, record.end), record, time))

    def _is_shown_in_time(self, account: str, record: Record, seen_at: float) -> bool:
        """While asked for, and not hidden by replies of an earlier time, which look like good ones."""
        last = seen_at + ASKED_FOR_S
        return record.shown_from <= last and not self._plan.is_stale(account, seen_at, last)

    def _take(self, row: Notification, units: Iterable[Unit]) -> None:
        key = row.key
        told = [unit for unit in units if _concerns(key, unit, row.episode)]
        if not told and not (key.rule == TAKEN and self._knows(key, row.episode)):
            self._say(f"{key} episode {row.episode} tells of what no record shows")
        for unit in told:
            self._told[unit, row.target].add(identity(row))

    def _knows(self, key: AlertKey, second: int) -> bool:
        return any(unit_of(key.account, end) == (key.account, key.subject, second) for end in self._shown[key.account])

    def _judge(self, unit: Unit, targets: Iterable[str]) -> None:
        for target in targets:
            if not self._ways(unit, target):
                self._say(f"{unit} was shown and {target} was not told")
        for target in self._targets(unit):
            ways = self._ways(unit, target) - self._ledger.untraceable
            if len({row.key.rule == TAKEN for row in ways}) > 1:
                self._say(f"{unit} was told twice to {target}: {sorted(ways)}")

    def _ways(self, unit: Unit, target: str) -> set[Identity]:
        """The messages that tell it, as far as a process knows of them."""
        told = self._told.get((unit, target), set())
        return {row for row in told if row in self._ledger.owed and row not in self._ledger.forgotten}

    def _targets(self, unit: Unit) -> Iterator[str]:
        return iter([target for known, target in self._told if known == unit])

    def _say(self, problem: str) -> None:
        self._problems.append(f"{self._time():.1f}: {problem}")


def _concerns(key: AlertKey, unit: Unit, episode: int) -> bool:
    if key.rule == TAKEN:
        return (key.subject, episode) == (unit.subject, unit.second)
    return key.subject in (unit.subject, f"isolated:{unit.subject.replace(' ', ':')}")

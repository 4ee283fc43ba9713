"""What the venue took must be told: each end that its records show, once to every channel of critical alerts.

An end is told in one of two ways: by the end of an alert of its position (or isolated pool), or by a notice. What the
venue has shown must be in the next good read's messages; what happened must have been asked for in time. Whether a
message is on the disk is the ledger's to know, so that a crash takes back here what it takes back there.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from monitor.domain.account import AccountSnapshot, End
from monitor.domain.alert import Reason
from monitor.domain.notification import AlertFacts, Notification
from monitor.domain.reading import Severity
from monitor.plan import AccountPlan
from monitor.store.records import Changes
from tests.simulation.ledger import Identity, Ledger, identity
from tests.simulation.plan import Plan
from tests.simulation.records import Record, Records
from tests.simulation.world import START

# The rules that notices of ends are filed under, and how an alert ends by them.
BAD_ENDS = ("liquidated", "auto-deleveraged")
# The records are asked for so long after the read that shows a position gone or smaller.
ASKED_FOR_S = 300.0
# And for what happened so long before the last sight of it, since clocks differ.
BEFORE_S = 60.0


class Sight(NamedTuple):
    """A good read: when it was, how far the monitor's clock was ahead of the venue's, contracts by position."""

    time: float
    ahead_s: float
    sizes: dict[str, float]


class Owed(NamedTuple):
    """A record that must be asked for, since the read at `seen_at` showed what it left."""

    account: str
    record: Record
    seen_at: float


def bad_end(row: Notification) -> str | None:
    """The venue's deed that this end of an alert tells of."""
    how = str(row.facts.resolution) if isinstance(row.facts, AlertFacts) else ""
    return how if how in BAD_ENDS else None


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
        # Of this life: what the venue has shown, in order, and how much of it the last good read could tell.
        self._shown: dict[str, dict[End, None]] = defaultdict(dict)
        self._handed: dict[str, int] = {}
        self._due: dict[str, tuple[AccountPlan, list[End]]] = {}
        # Of all lives: by account and end, by target, the messages that tell it.
        self._told: dict[tuple[str, End], dict[str, set[Identity]]] = {}
        self._sights: dict[str, Sight] = {}
        self._owed: list[Owed] = []

    # --- what happens ---

    def shown(self, account: str, ends: Sequence[End]) -> None:
        """A reply of the venue has reached the monitor."""
        self._shown[account].update(dict.fromkeys(ends))

    def reads(self, plan: AccountPlan, snapshot: AccountSnapshot, now: datetime) -> list[End]:
        """A good read: what was shown since the one before must be told now, unless it was; oldest first."""
        shown = list(self._shown[plan.name])
        new = shown[self._handed.get(plan.name, 0) :]
        self._handed[plan.name] = len(shown)
        fresh = sorted((end for end in new if not self._is_told(plan.name, end)), key=lambda end: end.at)
        if fresh:
            self._due[plan.name] = (plan, fresh)
        self._see(plan.name, snapshot, (now - START).total_seconds() - self._time())
        return fresh

    def applies(self, changes: Changes) -> None:
        """The ledger knows of these rows already."""
        for row in changes.enqueue:
            if how := self._tells(row):
                self._take(row, how)
        for account in dict.fromkeys(row.key.account for row in changes.enqueue if self._tells(row)):
            plan, ends = self._due.pop(account, (None, []))
            for end in ends:
                self._judge(account, end, plan.targets[Severity.CRITICAL] if plan else ())

    def nothing_due(self, account: str) -> None:
        """The last read of the account is judged by now."""
        plan, ends = self._due.pop(account, (None, []))
        for end in ends:
            self._judge(account, end, plan.targets[Severity.CRITICAL] if plan else ())

    def leaves(self, account: str) -> None:
        """It is not watched any more."""
        for known in (self._shown, self._handed, self._due, self._sights):
            known.pop(account, None)
        self._owed = [owed for owed in self._owed if owed.account != account]

    def process_ends(self) -> None:
        """The next one asks for what the last one may not have told."""
        self._shown.clear()
        self._handed.clear()
        self._due.clear()

    def settle(self) -> None:
        """The end: what was to be seen in time was asked for, and told."""
        for account, record, seen_at in self._owed:
            if not self._is_told(account, record.end):
                end = _name(account, record.end)
                self._say(f"{end}, shown from {record.shown_from:.1f}, missed at {seen_at:.1f}, was not told")

    # --- how it is held together ---

    def _see(self, account: str, snapshot: AccountSnapshot, ahead_s: float) -> None:
        time = self._time()
        sizes = {position.subject: position.contracts for position in snapshot.positions}
        before, self._sights[account] = self._sights.get(account), Sight(time, ahead_s, sizes)
        if before is None or not self._plan.has_records or before.ahead_s >= BEFORE_S - 1:
            return
        for record in self._records.between(account, before.time - BEFORE_S, time):
            subject, _ = names_of(record.end)
            is_less = sizes.get(subject, 0.0) < before.sizes.get(subject, 0.0)
            if is_less and self._is_shown_in_time(account, record, time):
                self._owed.append(Owed(account, record, time))

    def _is_shown_in_time(self, account: str, record: Record, seen_at: float) -> bool:
        """While asked for, and not hidden by replies of an earlier time, which look like good ones."""
        last = seen_at + ASKED_FOR_S
        return record.shown_from <= last and not self._plan.is_stale(account, seen_at, last)

    def _tells(self, row: Notification) -> str | None:
        return bad_end(row) or (row.key.rule if row.key.rule in BAD_ENDS else None)

    def _take(self, row: Notification, how: str) -> None:
        """An alert's end tells all that was taken of its subject, a notice what was taken in its way."""
        key = row.key
        _, due = self._due.get(key.account, (None, []))
        told = [end for end in due if key.subject in names_of(end) and (bad_end(row) or str(end.kind) == how)]
        known = self._told.values()
        if not told and not any(identity(row)._replace(target=t) in rows for ts in known for t, rows in ts.items()):
            self._say(f"{key} episode {row.episode} tells of what no record shows")
        for end in told:
            self._told.setdefault((key.account, end), {}).setdefault(row.target, set()).add(identity(row))

    def _judge(self, account: str, end: End, targets: Iterable[str]) -> None:
        told = self._ways(account, end)
        for target in targets:
            if not told.get(target):
                self._say(f"{_name(account, end)} was shown and {target} was not told")
        for target, rows in told.items():
            ways = Counter(row.reason for row in rows - self._ledger.untraceable)
            if len(ways) > 1 or ways[Reason.NOTICE] > 1:
                self._say(f"{_name(account, end)} was told twice to {target}: {sorted(rows)}")

    def _ways(self, account: str, end: End) -> dict[str, set[Identity]]:
        """By target the messages that tell it, as far as a process knows of them."""
        told = self._told.get((account, end), {})
        owed, forgotten = self._ledger.owed, self._ledger.forgotten
        return {t: {row for row in rows if row in owed and row not in forgotten} for t, rows in told.items()}

    def _is_told(self, account: str, end: End) -> bool:
        return any(self._ways(account, end).values())

    def _say(self, problem: str) -> None:
        self._problems.append(f"{self._time():.1f}: {problem}")


def _name(account: str, end: End) -> str:
    return f"{account}: {end.instrument.symbol} {end.side} {end.kind} at {end.at:%H:%M:%S}"

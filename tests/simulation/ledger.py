"""Who was owed what and what arrived: nothing lost, nothing twice but what nobody could know, episodes in order."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from monitor.domain.alert import Reason
from monitor.domain.notification import DeliveryState, Notification, is_bad_end
from monitor.domain.reading import AlertKey
from monitor.notify.message import Rendered
from monitor.notify.results import SendKind, SendResult

# What the venue took is told alone where no other channel took it: to one that had heard nothing of the alert before.
EPISODE = re.compile(r"F[RW]*[ET]?|T")
LETTERS = {Reason.FIRST: "F", Reason.REPEAT: "R", Reason.WORSE: "W", Reason.RESOLVED: "E"}


class Identity(NamedTuple):
    key: AlertKey
    episode: int
    sequence: int
    reason: Reason
    target: str


def identity(row: Notification) -> Identity:
    return Identity(row.key, row.episode, row.sequence, row.reason, row.target)


@dataclass
class Ledger:
    """`owed` are the rows by identity with whether they are on disk; `arrived` the arrivals of each, by time.

    `ambiguous` counts the sends of a row whose outcome nobody could know. `untraceable` rows were told or enqueued
    while the disk took nothing, by a process that then died: no successor can know of them. Those that no successor
    has enqueued anew are `forgotten`. `taken` are ends that the venue made.
    """

    owed: dict[Identity, bool] = field(default_factory=dict)
    arrived: dict[Identity, list[float]] = field(default_factory=dict)
    ambiguous: Counter[Identity] = field(default_factory=Counter)
    unsettled: set[Identity] = field(default_factory=set)
    untraceable: set[Identity] = field(default_factory=set)
    forgotten: set[Identity] = field(default_factory=set)
    taken: set[Identity] = field(default_factory=set)
    given_up: dict[Identity, str] = field(default_factory=dict)
    removed: dict[str, list[float]] = field(default_factory=dict)
    latest: dict[tuple[str, AlertKey], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    marked_repeats: int = 0
    untraceable_repeats: int = 0
    messages: int = 0

    def enqueue(self, rows: Iterable[Notification]) -> None:
        for row in rows:
            self.owed.setdefault(identity(row), False)
            self.forgotten.discard(identity(row))
            if is_bad_end(row):
                self.taken.add(identity(row))

    def change(self, rows: Iterable[Notification]) -> None:
        for row in rows:
            if row.state is DeliveryState.DEAD:
                self.given_up[identity(row)] = row.last_error or ""

    def on_disk(self, rows: Iterable[tuple[Identity, DeliveryState]]) -> None:
        for row, state in rows:
            if row in self.owed:
                self.owed[row] = True
            if state is not DeliveryState.SENDING:
                self.unsettled.discard(row)

    def try_(self, rendered: Rendered) -> None:
        self.unsettled.update(identity(row) for row in rendered.named)

    def result(self, rendered: Rendered, result: SendResult) -> None:
        if result.kind is SendKind.AMBIGUOUS:
            self.ambiguous.update(identity(row) for row in rendered.named)

    def arrive(self, rendered: Rendered, time: float) -> None:
        self.messages += 1
        for row in rendered.named:
            known = identity(row)
            before = self.arrived.setdefault(known, [])
            before.append(time)
            if len(before) > 1:
                self._repeat(known, row, rendered, time)
            elif known.reason in LETTERS:
                self._in_turn(known, time)

    def _in_turn(self, known: Identity, time: float) -> None:
        """No news of an episode comes behind that of a later one: its end would be taken for the later one's."""
        latest = self.latest.get((known.target, known.key), 0)
        if known.episode < latest and known not in self.untraceable:
            self.problems.append(f"{time:.1f}: told after episode {latest}: {known}")
        self.latest[known.target, known.key] = max(latest, known.episode)

    def _repeat(self, known: Identity, row: Notification, rendered: Rendered, time: float) -> None:
        if known in self.untraceable:
            self.untraceable_repeats += 1
        elif not row.possible_repeat or "possible repeat" not in rendered.body:
            self.problems.append(f"{time:.1f}: told twice without a word of it: {known}")
        elif len(self.arrived[known]) - 1 > self.ambiguous[known]:
            self.problems.append(f"{time:.1f}: told more often than outcomes were unknown: {known}")
        else:
            self.marked_repeats += 1

    def kill(self, *, disk_fails: bool) -> None:
        """The process ends here. What was not on disk never was, unless somebody was told of it."""
        self.ambiguous.update(self.unsettled)
        if disk_fails:
            self.untraceable.update(self.unsettled)
            lost = {row for row, is_on_disk in self.owed.items() if not is_on_disk}
            self.untraceable |= lost
            self.forgotten |= lost
            # Of the episodes that it told of, the next process knows nothing: it goes on with those on the disk.
            for row in lost:
                self.latest.pop((row.target, row.key), None)
        self.unsettled.clear()
        for row in [row for row, is_on_disk in self.owed.items() if not is_on_disk]:
            if row not in self.arrived:
                del self.owed[row]

    def remove_channel(self, name: str, time: float) -> None:
        self.removed.setdefault(name, []).append(time)

    def settle(self, is_open: "set[tuple[AlertKey, int]]") -> None:
        """The end: what is owed has arrived; `is_open` are the episodes that still fire."""
        for row in self.owed:
            if row not in self.arrived and row not in self.given_up and row not in self.untraceable:
                self.problems.append(f"lost: {row}")
        for row, why in self.given_up.items():
            if "removed" not in why and row not in self.arrived:
                self.problems.append(f"given up: {row}: {why}")
        for (target, key, episode), rows in self._by_episode().items():
            told = self._letters(rows)
            untraceable = any(row in self.untraceable for row in rows)
            if not untraceable and not all(EPISODE.fullmatch(part) for part in self._parts(target, rows)):
                self.problems.append(f"{target} read {told} of {key} episode {episode}")
            is_excused = self.removed.get(target, [-1.0])[-1] > self.arrived[rows[0]][0]
            if not told.endswith(("E", "T")) and (key, episode) not in is_open and not is_excused and not untraceable:
                self.problems.append(f"{target} never read the end of {key} episode {episode}: {told}")

    def _parts(self, target: str, rows: list[Identity]) -> Iterator[str]:
        """What was read between the edits that took the channel away: put back, it begins anew where nothing that it
        was sent is known to have arrived."""
        cuts = self.removed.get(target, [])
        parts = groupby(rows, key=lambda row: sum(cut < self.arrived[row][0] for cut in cuts))
        for number, (_, part) in enumerate(parts):
            told = self._letters(part)
            yield told if number == 0 or told.startswith("F") else f"F{told}"

    def _letters(self, rows: Iterable[Identity]) -> str:
        return "".join("T" if row in self.taken else LETTERS[row.reason] for row in rows)

    def _by_episode(self) -> dict[tuple[str, AlertKey, int], list[Identity]]:
        """Each target's messages of each episode, in the order they first arrived; of one message, as they came up."""
        episodes: dict[tuple[str, AlertKey, int], list[Identity]] = {}
        for row in sorted(
            self.arrived, key=lambda row: (self.arrived[row][0], row.reason is Reason.RESOLVED, row.sequence)
        ):
            if row.reason in LETTERS:
                episodes.setdefault((row.target, row.key, row.episode), []).append(row)
        return episodes

"""What the venue booked to an account: funding, transfers, realised profit and fees, by its own records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

K = TypeVar("K")

HOUR = timedelta(hours=1)


class EntryKind(StrEnum):
    FUNDING = "funding"
    TRANSFER = "transfer"
    REALISED = "realised"
    FEE = "fee"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One booking: `amount` is above 0 where the account received it, in `currency`.

    `id` is the venue's own, or made of what tells one entry from another; `symbol` where it is of one instrument.
    """

    id: str
    at: datetime
    kind: EntryKind
    currency: str
    amount: float
    symbol: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All entries after `since` and up to `until`, ascending by time. An entry of a kind in `untold` would not be among
    them: this venue's records, or what of them is read, do not tell it."""

    since: datetime
    until: datetime
    entries: tuple[Entry, ...]
    untold: frozenset[EntryKind] = frozenset()

    def of(self, kind: EntryKind) -> Sequence[Entry]:
        return self._by_kind.get(kind, ())

    def of_symbol(self, symbol: str) -> Sequence[Entry]:
        return self._by_symbol.get(symbol, ())

    @cached_property
    def _by_kind(self) -> Mapping[EntryKind, Sequence[Entry]]:
        return _grouped((entry.kind, entry) for entry in self.entries)

    @cached_property
    def _by_symbol(self) -> Mapping[str, Sequence[Entry]]:
        return _grouped((entry.symbol, entry) for entry in self.entries if entry.symbol is not None)


def ledger_of(
    entries: Iterable[Entry], since: datetime, until: datetime, untold: Iterable[EntryKind] = ()
) -> Ledger | None:
    """Each entry of that time once, in order; None where two of one id differ, so that neither can be believed."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.id, entry) != entry:
            return None
    within = (entry for entry in found.values() if since < entry.at <= until)
    return Ledger(since=since, until=until, entries=_in_order(within), untold=frozenset(untold))


def later(ledger: Ledger, by: timedelta) -> Ledger:
    """The same by a clock that is ahead of the venue's by that."""
    if not by:
        return ledger
    entries = tuple(replace(entry, at=entry.at + by) for entry in ledger.entries)
    return replace(ledger, since=ledger.since + by, until=ledger.until + by, entries=entries)


def continued(before: Ledger | None, told: Ledger) -> Ledger:
    """What is known once more was told. Where it begins later than the one before ends, nothing says what was booked in
    between, so that one is let go."""
    if before is None or told.since > before.until:
        return told
    # By id and not by time: what our clock is ahead of the venue's by may be learnt anew between two reads.
    entries = {entry.id: entry for entry in (*before.entries, *told.entries)}
    return replace(
        told,
        since=min(before.since, told.since),
        until=max(before.until, told.until),
        entries=_in_order(entries.values()),
        untold=before.untold | told.untold,
    )


def bounded(ledger: Ledger, since: datetime, most: int) -> Ledger:
    """Nothing of before `since`, and no more than `most` entries: fees and profits of an hour that is over are added up
    first, by currency and symbol; where that does not suffice, the ledger begins later."""
    since = max(ledger.since, since)
    entries: Sequence[Entry] = [entry for entry in ledger.entries if entry.at > since]
    if len(entries) > most:
        entries = _added_up(entries, ledger.until - HOUR)
    if len(entries) > most:
        since = entries[-most - 1].at
        entries = [entry for entry in entries if entry.at > since]
    return replace(ledger, since=since, entries=tuple(entries))


def _added_up(entries: Iterable[Entry], until: datetime) -> Sequence[Entry]:
    """A sum stands where the last of its entries stood."""
    kept: list[Entry] = []
    sums: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind not in (EntryKind.FEE, EntryKind.REALISED) or entry.at > until:
            kept.append(entry)
            continue
        name = f"sum {entry.at:%Y-%m-%d %H} {entry.kind} {entry.currency} {entry.symbol}"
        sums[name] = replace(entry, id=name, amount=entry.amount + (sums[name].amount if name in sums else 0.0))
    return _in_order((*kept, *sums.values()))


def _in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.at, entry.id)))


def _grouped(pairs: Iterable[tuple[K, Entry]]) -> Mapping[K, Sequence[Entry]]:
    found: dict[K, list[Entry]] = {}
    for key, entry in pairs:
        found.setdefault(key, []).append(entry)
    return found

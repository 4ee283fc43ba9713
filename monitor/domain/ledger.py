"""What the venue booked to an account: funding, transfers, realised profit and fees, by its own records."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All entries after `since` and up to `until`, ascending by time. An entry of a kind in `untold` would not be among
    them: this venue's records, or what of them is read, do not tell it."""

    since: datetime
    until: datetime
    entries: tuple[Entry, ...]
    untold: frozenset[EntryKind] = frozenset()


def ledger_of(
    entries: Iterable[Entry], since: datetime, until: datetime, untold: Iterable[EntryKind] = ()
) -> Ledger | None:
    """Each entry of that time once, in order; None where two of one id differ, so that neither can be believed."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.id, entry) != entry:
            return None
    within = (entry for entry in found.values() if since < entry.at <= until)
    ordered = sorted(within, key=lambda entry: (entry.at, entry.id))
    return Ledger(since=since, until=until, entries=tuple(ordered), untold=frozenset(untold))

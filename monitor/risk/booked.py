"""What the venue's records say that holding has cost: funding paid, and what a position has realised. Pure."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain.account import AccountSnapshot, Position
from monitor.domain.ledger import Entry, EntryKind
from monitor.domain.market import Markets
from monitor.risk.track import MIXED
from monitor.risk.worth import UnknownWorthError, dollars_per

WEEK = timedelta(days=7)
# Ledgers are read every five minutes. One that ends longer ago does not tell what was booked of late.
RECENT = timedelta(minutes=15)
# What a position has cost or brought once it is in the wallet.
OF_POSITION = (EntryKind.REALISED, EntryKind.FUNDING, EntryKind.FEE)


@dataclass(frozen=True, slots=True)
class Booked:
    """`amount` in the currency asked for, above 0 where it was received; of the time after `since`."""

    amount: float
    since: datetime


def funding_booked(
    snapshot: AccountSnapshot, markets: Markets, now: datetime, currency: str, symbols: Collection[str] | None
) -> Booked | None:
    """Of the last seven days, or of as many as records tell; None where they tell no funding, or not that of late.

    `currency` is that of a pool: of one over several coins all funding is, in dollars. `symbols` None: of all.
    """
    ledger = snapshot.ledger
    if ledger is None or EntryKind.FUNDING in ledger.untold or behind(snapshot, now) is not None:
        return None
    since = max(ledger.since, now - WEEK)
    entries = (
        entry
        for entry in ledger.of(EntryKind.FUNDING)
        if entry.at > since
        if currency in (MIXED, entry.currency)
        if symbols is None or entry.symbol in symbols
    )
    return Booked(_sum(entries, currency, snapshot, markets), since)


def realised_of(snapshot: AccountSnapshot, markets: Markets, position: Position, since: datetime) -> Booked | None:
    """What was booked to that position since then, in settle units: profit, funding and fees.

    None where records do not tell it, or not that position's.
    """
    ledger, instrument = snapshot.ledger, position.instrument
    if ledger is None or not may_tell(snapshot, position):
        return None
    since = max(ledger.since, since)
    entries = (e for e in ledger.of_symbol(instrument.symbol) if e.at > since and e.kind in OF_POSITION)
    return Booked(_sum(entries, instrument.settle, snapshot, markets), since)


def may_tell(snapshot: AccountSnapshot, position: Position) -> bool:
    """Whether records, once they are read, tell what was booked to the position. Not where the venue never does, and
    not where both sides of a contract are held: they do not say whose it is."""
    if snapshot.ledger is not None and not snapshot.ledger.untold.isdisjoint(OF_POSITION):
        return False
    return sum(other.instrument.symbol == position.instrument.symbol for other in snapshot.positions) == 1


def behind(snapshot: AccountSnapshot, now: datetime) -> str | None:
    """Why what was booked of late is not known; None where it is, and where no records are read or told."""
    ledger = snapshot.ledger
    if ledger is None:
        return snapshot.ledger_failure
    if now - ledger.until <= RECENT:
        return None
    return snapshot.ledger_failure or f"bookings are known up to {ledger.until:%d %b %H:%M} UTC so far"


def _sum(entries: Iterable[Entry], currency: str, snapshot: AccountSnapshot, markets: Markets) -> float:
    """Fees may be paid in another coin: one without a worth is left out."""
    total = 0.0
    for entry in entries:
        if entry.currency == currency:
            total += entry.amount
            continue
        with suppress(UnknownWorthError):
            rate = dollars_per(entry.currency, snapshot, markets) / dollars_per(currency, snapshot, markets)
            total += entry.amount * rate
    return total

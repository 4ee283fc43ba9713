"""An account's movements of cash as venues book them: the profit of a close and its fee apart. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.account import Side
from monitor.domain.ledger import EntryKind
from monitor.paper.book import Event, EventKind
from monitor.paper.dialect import Call
from monitor.paper.engine import Engine

_FORCED = (EventKind.PARTIAL, EventKind.FULL)
_WHOLE = {
    EventKind.DEPOSIT: EntryKind.TRANSFER,
    EventKind.WITHDRAW: EntryKind.TRANSFER,
    EventKind.FUNDING: EntryKind.FUNDING,
    EventKind.OPEN: EntryKind.FEE,
    # What an emptied pool owed is forgiven: it makes the loss smaller.
    EventKind.INSURANCE: EntryKind.REALISED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """`number` grows with time and is of this booking alone; `amount` is above 0 where the account received it."""

    number: int
    time: datetime
    kind: EntryKind
    event: EventKind
    asset: str
    amount: float
    symbol: str | None
    side: Side | None
    contracts: float | None
    price: float | None


def bookings(engine: Engine, account: str) -> Iterator[Booking]:
    """All that is remembered of one account, oldest first."""
    for event in engine.events:
        if event.account == account:
            yield from _of(engine, event)


def bookings_asked_for(call: Call) -> list[Booking]:
    return list(bookings(call.engine, call.owner.name))


def _of(engine: Engine, event: Event) -> Iterator[Booking]:
    if event.kind in _WHOLE:
        yield _booking(event, 0, _WHOLE[event.kind], event.amount)
        return
    fee = _fee(engine, event)
    yield _booking(event, 0, EntryKind.REALISED, event.amount + fee)
    if fee:
        yield _booking(event, 1, EntryKind.FEE, -fee)


def _fee(engine: Engine, event: Event) -> float:
    """What was kept of a close."""
    assert event.symbol is not None
    assert event.contracts is not None
    assert event.price is not None
    contract = engine.market(event.symbol).contract
    rate = contract.liquidation_fee_rate if event.kind in _FORCED else contract.fee_rate
    return contract.notional(event.contracts, event.price) * rate


def _booking(event: Event, part: int, kind: EntryKind, amount: float) -> Booking:
    return Booking(
        number=2 * event.sequence + part,
        time=event.time,
        kind=kind,
        event=event.kind,
        asset=event.asset,
        amount=amount,
        symbol=event.symbol,
        side=event.side,
        contracts=event.contracts,
        price=event.price,
    )

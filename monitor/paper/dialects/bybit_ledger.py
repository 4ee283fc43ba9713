"""Bybit's transaction log, of what the engine booked."""

from monitor.domain.ledger import EntryKind
from monitor.paper.book import EventKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import Call, Json
from monitor.paper.formats import amount, milliseconds

WORDS = {
    EventKind.DEPOSIT: "TRANSFER_IN",
    EventKind.WITHDRAW: "TRANSFER_OUT",
    EventKind.FUNDING: "SETTLEMENT",
    EventKind.PARTIAL: "LIQUIDATION",
    EventKind.FULL: "LIQUIDATION",
    EventKind.INSURANCE: "LIQUIDATION",
    EventKind.ADL: "ADL",
}


def booked_rows(call: Call) -> list[Json]:
    return [_row(call, booking) for booking in bookings_asked_for(call)]


def _row(call: Call, booking: Booking) -> Json:
    """A fee is told as what it costs; cash and its change as the account sees them."""
    contract = call.engine.market(booking.symbol).contract if booking.symbol is not None else None
    parts = {kind: booking.amount if booking.kind is kind else 0.0 for kind in EntryKind}
    return {
        "id": f"592324803b2785-{booking.number}",
        "symbol": booking.symbol or "",
        "category": "" if contract is None else "inverse" if contract.inverse else "linear",
        "side": "None",
        "transactionTime": str(milliseconds(booking.time)),
        "type": WORDS.get(booking.event, "TRADE"),
        "qty": amount(booking.contracts or 0.0),
        "size": "0",
        "currency": booking.asset,
        "tradePrice": amount(booking.price or 0.0),
        "funding": amount(parts[EntryKind.FUNDING]) if parts[EntryKind.FUNDING] else "",
        "fee": amount(-parts[EntryKind.FEE]),
        "cashFlow": amount(parts[EntryKind.REALISED] + parts[EntryKind.TRANSFER]),
        "change": amount(booking.amount),
        "cashBalance": "0",
        "feeRate": "0.0006",
        "bonusChange": "",
        "transSubType": "",
    }

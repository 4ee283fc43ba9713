"""OKX's bills, of what the engine booked."""

from monitor.domain.account import Side
from monitor.domain.ledger import EntryKind
from monitor.paper.book import EventKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import Call, Json
from monitor.paper.dialects.okx_account import figure, name_of
from monitor.paper.formats import milliseconds

TRADE, FUNDING = "2", "8"
TYPES = {
    EventKind.DEPOSIT: "1",
    EventKind.WITHDRAW: "1",
    EventKind.FUNDING: FUNDING,
    EventKind.PARTIAL: "5",
    EventKind.FULL: "5",
    EventKind.ADL: "9",
    EventKind.INSURANCE: "10",
}
# What a bill is about more closely, of a long and of a short; manual transfers where money comes and goes.
SUBTYPES = {
    EventKind.DEPOSIT: ("201", "201"),
    EventKind.WITHDRAW: ("203", "203"),
    EventKind.PARTIAL: ("100", "101"),
    EventKind.FULL: ("104", "105"),
    EventKind.ADL: ("125", "126"),
    EventKind.INSURANCE: ("117", "117"),
    EventKind.OPEN: ("3", "4"),
    EventKind.CLOSE: ("5", "6"),
}


def bills(call: Call) -> list[Json]:
    return [_bill(call, booking) for booking in bookings_asked_for(call)]


def _bill(call: Call, booking: Booking) -> Json:
    """Profit and fee of a trade stand in bills of their own here; the fee's is of no size."""
    contract = call.engine.market(booking.symbol).contract if booking.symbol is not None else None
    pays = ("174", "174") if booking.amount > 0 else ("173", "173")
    is_fee = booking.kind is EntryKind.FEE
    subtypes = pays if booking.event is EventKind.FUNDING else SUBTYPES[booking.event]
    return {
        "billId": str(booking.number),
        "type": TRADE if is_fee else TYPES.get(booking.event, TRADE),
        "subType": subtypes[booking.side is Side.SHORT],
        "instType": "" if contract is None else "SWAP",
        "instId": "" if contract is None else name_of(contract),
        "mgnMode": "",
        "ccy": booking.asset,
        "balChg": figure(booking.amount),
        "bal": "0",
        "posBalChg": "0",
        "posBal": "0",
        "pnl": "0" if is_fee or booking.kind is EntryKind.TRANSFER else figure(booking.amount),
        "fee": figure(booking.amount) if is_fee else "0",
        "interest": "0",
        "sz": figure(booking.contracts or 0.0),
        "px": figure(booking.price or 0.0),
        "ts": str(milliseconds(booking.time)),
        "from": "",
        "to": "",
        "notes": "",
    }

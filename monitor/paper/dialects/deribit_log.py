"""Deribit's transaction log: what the engine booked, in its words."""

from monitor.domain.ledger import EntryKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.dialects.deribit_account import name_of, profile_of
from monitor.paper.formats import milliseconds

LONGEST = 250


def transaction_log(call: Call) -> Json:
    """Of one currency, the newest first; the token names the first row of the next page."""
    asked = call.params
    start, end, count = (int(asked[name]) for name in ("start_timestamp", "end_timestamp", "count"))
    if not 1 <= count <= LONGEST:
        raise ApiError(400, -32602, "Invalid params")
    rows = [*(_row(call, booking) for booking in bookings_asked_for(call)), *profile_of(call).log]
    found = [row for row in rows if row["currency"] == asked["currency"] and start <= row["timestamp"] <= end]
    found.sort(key=lambda row: -row["id"])
    found = [row for row in found if row["id"] <= int(asked.get("continuation", row["id"]))]
    return {"logs": found[:count], "continuation": found[count]["id"] if len(found) > count else None}


def _row(call: Call, booking: Booking) -> Json:
    """Funding and gains reach the balance by a settlement."""
    is_fee = booking.kind is EntryKind.FEE
    row: Json = {
        "id": booking.number,
        "user_seq": booking.number,
        "username": "paper",
        "timestamp": milliseconds(booking.time),
        "currency": booking.asset,
        "instrument_name": name_of(call.engine.market(booking.symbol).contract) if booking.symbol else None,
        "type": _word(booking),
        "change": booking.amount,
        "cashflow": booking.amount,
        "commission": -booking.amount if is_fee else None,
        "balance": 1.0,
        "equity": 1.0,
        "info": {},
    }
    if row["type"] == "settlement":
        row["total_interest_pl"] = booking.amount if booking.kind is EntryKind.FUNDING else 0.0
        row["interest_pl"], row["session_upl"] = row["total_interest_pl"], 0.0
    return row


def _word(booking: Booking) -> str:
    match booking.kind:
        case EntryKind.TRANSFER:
            return "deposit" if booking.amount > 0 else "withdrawal"
        case EntryKind.FEE:
            return "trade"
        case _:
            return "settlement"

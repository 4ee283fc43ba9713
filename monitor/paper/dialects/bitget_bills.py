"""What Bitget booked to an account, in its words: a row holds an amount and, of trades, the fee of it."""

from collections.abc import Iterator
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.dialects.bitget_account import PRODUCTS, classic, figure, good, product_of, symbol_of, unified
from monitor.paper.formats import milliseconds

PAGE = 100
LONGEST_MS = 30 * 86_400_000
OTHER = "OTHER"


def bills(call: Call) -> Json:
    classic(call)
    asked = call.params["productType"]
    rows = [
        _row(call, b, ("billId", "businessType", "cTime"), _classic_word(b))
        for b in bookings_asked_for(call)
        if (product := _product(call, b)) == asked or (product == OTHER and asked.startswith(b.asset))
    ]
    page, end = _page(call, [*rows, *call.profile.bills], ("billId", "cTime"), "idLessThan")
    return good({"bills": page or None, "endId": end})


def financial_records(call: Call) -> Json:
    unified(call)
    asked = call.params["category"]
    if asked not in (*PRODUCTS, "SPOT", "MARGIN", OTHER):
        raise ApiError(400, "40034", "Parameter category does not exist")
    rows = [
        {"category": asked, **_row(call, b, ("id", "type", "ts"), _unified_word(b))}
        for b in bookings_asked_for(call)
        if _product(call, b) == asked
    ]
    more = [row for row in call.profile.bills if row.get("category", OTHER) == asked]
    page, cursor = _page(call, [*rows, *more], ("id", "ts"), "cursor")
    return good({"list": page or None, "cursor": cursor})


def _product(call: Call, booking: Booking) -> str:
    return product_of(call.engine.market(booking.symbol).contract) if booking.symbol else OTHER


def _classic_word(booking: Booking) -> str:
    match booking.kind:
        case EntryKind.FUNDING:
            return "contract_settle_fee"
        case EntryKind.TRANSFER:
            return "trans_from_exchange" if booking.amount > 0 else "trans_to_exchange"
        case EntryKind.REALISED:
            return f"close_{booking.side}"
        case _:
            return f"open_{booking.side}"


def _unified_word(booking: Booking) -> str:
    way = "IN" if booking.amount > 0 else "OUT"
    match booking.kind:
        case EntryKind.FUNDING:
            return f"CONTRACT_MAIN_SETTLE_FEE_USER_{way}"
        case EntryKind.TRANSFER:
            return f"TRANSFER_{way}"
        case _:
            return _classic_word(booking).upper()


def _row(call: Call, booking: Booking, names: tuple[str, str, str], word: str) -> Json:
    name, kind, time = names
    is_fee = booking.kind is EntryKind.FEE
    return {
        name: str(booking.number),
        "symbol": symbol_of(call.engine.market(booking.symbol).contract) if booking.symbol else "",
        "coin": booking.asset,
        kind: word,
        "amount": figure(0.0 if is_fee else booking.amount),
        "fee": figure(booking.amount if is_fee else 0.0),
        time: str(milliseconds(booking.time)),
    }


def _page(call: Call, rows: list[Json], names: tuple[str, str], cursor: str) -> tuple[list[Json], Any]:
    """The newest first: those before the one that the cursor names, and the last one's name."""
    name, time = names
    start, end, after = int(call.params["startTime"]), int(call.params["endTime"]), call.params.get(cursor)
    if end - start > LONGEST_MS:
        raise ApiError(400, "40054", "The time range is too long")
    found = sorted(_within(rows, time, start, end), key=lambda row: -int(row[name]))
    page = [row for row in found if after is None or int(row[name]) < int(after)][: int(call.params["limit"])]
    return page, page[-1][name] if page else None


def _within(rows: list[Json], time: str, start: int, end: int) -> Iterator[Json]:
    return (row for row in rows if start <= int(row[time]) <= end)

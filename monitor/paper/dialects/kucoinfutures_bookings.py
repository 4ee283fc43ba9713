"""What KuCoin booked to an account: the futures' transaction history of classic ones, the ledger of unified ones.

Rows of at most a day, the newest first. A classic account's period that is not over stands first, without a number.
"""

from monitor.domain.ledger import EntryKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.dialects.kucoinfutures_market import NANOSECONDS, coin_of, symbol_of
from monitor.paper.formats import milliseconds

DAY_MS = 86_400_000
LONGEST, LONGEST_UNIFIED = 50, 200
PENDING: Json = {
    "type": "RealisedPNL",
    "amount": 0.75,
    "fee": None,
    "accountEquity": 54.53821148,
    "status": "Pending",
    "remark": "XBTUSDTM",
    "offset": -1,
    "currency": "USDT",
}
UNIFIED = {
    EntryKind.FUNDING: "FUNDING_FEE",
    EntryKind.TRANSFER: "TRANSFER",
    EntryKind.REALISED: "FUTURES_EXCHANGE_CLOSE",
    EntryKind.FEE: "FUTURES_EXCHANGE_OPEN",
}


def transaction_history(call: Call) -> Json:
    """Funding and fees are not told apart."""
    start, end = _day(call)
    told = [b for b in bookings_asked_for(call) if b.kind in (EntryKind.REALISED, EntryKind.TRANSFER)]
    rows = [*(_classic(call, booking) for booking in told), *call.profile.booked]
    before = int(call.params.get("offset", 2**62))
    found = [row for row in rows if start <= row["time"] <= end and row["offset"] < before]
    found.sort(key=lambda row: -row["offset"])
    size = min(int(call.params.get("maxCount", LONGEST)), LONGEST)
    first = [] if "offset" in call.params else [{**PENDING, "time": call.now_ms}]
    return {"dataList": [*first, *found[:size]], "hasMore": len(found) > size}


def _classic(call: Call, booking: Booking) -> Json:
    word = "RealisedPNL" if booking.symbol else "TransferIn" if booking.amount > 0 else "TransferOut"
    remark = symbol_of(call.engine.market(booking.symbol).contract) if booking.symbol else "Transferred"
    return {
        "time": milliseconds(booking.time),
        "type": word,
        "amount": booking.amount if booking.symbol else abs(booking.amount),
        "fee": 0.0,
        "accountEquity": 54.53821148,
        "status": "Completed",
        "remark": remark,
        "offset": booking.number,
        "currency": coin_of(booking.asset),
    }


def account_ledger(call: Call) -> Json:
    start, end = _day(call)
    rows = [*(_unified(call, booking) for booking in bookings_asked_for(call)), *call.profile.booked]
    before = int(call.params.get("lastId", 2**62))
    found = [row for row in rows if start <= row["ts"] // NANOSECONDS <= end and int(row["id"]) < before]
    found.sort(key=lambda row: -int(row["id"]))
    items = found[: min(int(call.params.get("pageSize", LONGEST)), LONGEST_UNIFIED)]
    return {"items": items, "lastId": int(items[-1]["id"]) if items else None}


def _unified(call: Call, booking: Booking) -> Json:
    return {
        "accountType": "UNIFIED",
        "id": str(booking.number),
        "currency": coin_of(booking.asset),
        "direction": "IN" if booking.amount > 0 else "OUT",
        "businessType": UNIFIED[booking.kind],
        "amount": f"{abs(booking.amount):.10f}",
        "balance": "30",
        "fee": "0",
        "tax": "0",
        "remark": symbol_of(call.engine.market(booking.symbol).contract) if booking.symbol else "Funding Account",
        "ts": milliseconds(booking.time) * NANOSECONDS,
    }


def _day(call: Call) -> tuple[int, int]:
    start, end = int(call.params["startAt"]), int(call.params["endAt"])
    if end - start > DAY_MS:
        raise ApiError(400, "400100", "The time range exceeds one day.")
    return start, end

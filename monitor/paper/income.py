"""Binance's income histories, of fapi, dapi and papi: what the engine booked, in their words."""

from collections.abc import Callable

from monitor.domain.ledger import EntryKind
from monitor.paper.binance import profile_of
from monitor.paper.book import EventKind
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.dialect import Call, Json
from monitor.paper.formats import amount, milliseconds

LARGEST_PAGE = 1000
WORDS = {
    EntryKind.FUNDING: "FUNDING_FEE",
    EntryKind.TRANSFER: "TRANSFER",
    EntryKind.REALISED: "REALIZED_PNL",
    EntryKind.FEE: "COMMISSION",
}


def income(path: str, *, inverse: bool) -> Callable[[Call], list[Json]]:
    """The oldest since startTime, `limit` at most; and what the profile lists there."""

    def render(call: Call) -> list[Json]:
        booked = [_row(booking) for booking in bookings_asked_for(call) if _is_of(call, booking, inverse)]
        rows = [*profile_of(call).listed.get(path, ()), *booked]
        since = [row for row in rows if int(row["time"]) >= int(call.params.get("startTime", 0))]
        return sorted(since, key=lambda row: int(row["time"]))[: min(int(call.params.get("limit", 100)), LARGEST_PAGE)]

    return render


def _is_of(call: Call, booking: Booking, inverse: bool) -> bool:
    """Coins lie with COIN-M; what comes into a portfolio is not an income of its parts."""
    if booking.symbol is not None:
        return call.engine.market(booking.symbol).contract.inverse is inverse
    coins = {contract.settle for contract in call.engine.contracts if contract.inverse}
    return not profile_of(call).portfolio_margin and (booking.asset in coins) is inverse


def _row(booking: Booking) -> Json:
    kind = "INSURANCE_CLEAR" if booking.event is EventKind.INSURANCE else WORDS[booking.kind]
    return {
        "symbol": booking.symbol or "",
        "incomeType": kind,
        "income": amount(booking.amount),
        "asset": booking.asset,
        "info": kind,
        "time": milliseconds(booking.time),
        "tranId": booking.number,
        "tradeId": str(booking.number) if booking.kind in (EntryKind.REALISED, EntryKind.FEE) else "",
    }

"""What MEXC tells of what it booked: payments of funding, and transfers; page by page, the newest first."""

from collections.abc import Callable, Iterable
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.paper.bookings import bookings_asked_for
from monitor.paper.contract import Contract
from monitor.paper.dialect import Call, Json
from monitor.paper.formats import milliseconds

LONGEST = 100


def funding_records(call: Call, symbol_of: Callable[[Contract], str]) -> Json:
    paid = [
        {
            "id": booking.number,
            "symbol": symbol_of(call.engine.market(booking.symbol or "").contract),
            "positionType": 1,
            "positionValue": 29.30024,
            "funding": booking.amount,
            "rate": -0.000026,
            "settleTime": milliseconds(booking.time),
        }
        for booking in bookings_asked_for(call)
        if booking.kind is EntryKind.FUNDING
    ]
    return _page(call, paid, "settleTime")


def transfer_record(call: Call) -> Json:
    moved = [
        {
            "id": booking.number,
            "txid": f"paper-{booking.number}",
            "currency": booking.asset,
            "amount": abs(booking.amount),
            "type": "IN" if booking.amount > 0 else "OUT",
            "state": "SUCCESS",
            "createTime": milliseconds(booking.time),
            "updateTime": milliseconds(booking.time),
        }
        for booking in bookings_asked_for(call)
        if booking.kind is EntryKind.TRANSFER
    ]
    return _page(call, [*moved, *call.profile.transfers], "createTime")


def _page(call: Call, rows: Iterable[Any], time: str) -> Json:
    size, number = min(int(call.params.get("page_size", 20)), LONGEST), int(call.params.get("page_num", 1))
    told = sorted(rows, key=lambda row: (-row[time], -row["id"]))
    return {
        "pageSize": size,
        "totalCount": len(told),
        "totalPage": -(-len(told) // size),
        "currentPage": number,
        "resultList": told[(number - 1) * size : number * size],
    }

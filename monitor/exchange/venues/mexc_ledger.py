"""What MEXC booked to an account: position/funding_records and account/transfer_record (20 calls in two seconds each).

Pages are counted from 1, the newest rows first. By MEXC's documents; that a payment is above 0 where it was received is
arithmetic on a recorded one (a long at a rate below 0). What was realised and what it cost is told contract by contract
alone, or when a whole position is closed: neither is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.together import together
from monitor.exchange.values import Row, mapping, not_negative, number, rows, text, time_of
from monitor.exchange.venues.bookings import MAX_PAGES, Cursor, Page, booked, merged, read_bookings
from monitor.exchange.venues.mexc_orders import told
from monitor.exchange.venues.venue import Instruments

PAGE = 100
UNTOLD = (EntryKind.REALISED, EntryKind.FEE)
# By the word of a transfer: its kind, and which way the money went.
TRANSFERS: Mapping[str, tuple[EntryKind, int]] = {"IN": (EntryKind.TRANSFER, 1), "OUT": (EntryKind.TRANSFER, -1)}
UNKNOWN = (EntryKind.OTHER, 1)
# Money that did not move, or not yet.
NOT_MOVED = frozenset({"WAIT", "FAILED"})


async def read_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    pages = (
        _read(
            client,
            client.contractPrivateGetPositionFundingRecords,
            lambda row: _funding(row, instruments),
            _paid,
            since,
        ),
        _read(client, client.contractPrivateGetAccountTransferRecord, _transfer, _moved, since),
    )
    return merged(await together(*pages))


async def _read(client: Any, call: Any, entries: Any, at: Any, since: datetime) -> Ledger:
    async def ask(cursor: Cursor | None) -> Page:
        number_ = int(cursor or 1)
        data = mapping(told(await call({"page_num": number_, "page_size": PAGE}), "bookings"), "bookings.data")
        page = rows(data.get("resultList"), "bookings.resultList")
        return Page(page, number_ + 1 if len(page) >= PAGE else None)

    until = time_of(client.milliseconds())
    pages = MAX_PAGES // 2
    return await read_bookings(ask, entries, at, since=since, until=until, untold=UNTOLD, max_pages=pages)


def _paid(row: Row) -> datetime:
    return time_of(number(row, "settleTime"))


def _moved(row: Row) -> datetime:
    return time_of(number(row, "createTime"))


def _funding(row: Row, instruments: Instruments) -> Iterator[Entry]:
    """In what the contract is settled in; of one that is listed no more its name tells."""
    raw = text(row, "symbol")
    instrument = instruments.get(raw)
    base, _, quote = raw.partition("_")
    currency = (base if quote == "USD" else quote) if instrument is None else instrument.settle
    symbol = None if instrument is None else instrument.symbol
    amounts = {EntryKind.FUNDING: number(row, "funding")}
    return booked(f"funding {number(row, 'id'):.0f}", _paid(row), currency, symbol, amounts)


def _transfer(row: Row) -> Iterable[Entry]:
    if text(row, "state") in NOT_MOVED:
        return ()
    kind, sign = TRANSFERS.get(text(row, "type"), UNKNOWN)
    name = f"transfer {number(row, 'id'):.0f}"
    return booked(name, _moved(row), text(row, "currency"), None, {kind: sign * not_negative(row, "amount")})

"""What Gate booked to an account: futures/{settle}/account_book (200 calls in ten seconds), the newest first.

By the APIv4 documents and SDK models. Times are seconds with a fraction; a row is named by `id` where it has one. What
comes into a unified account is not booked to its futures: transfers of those are not told.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.together import together
from monitor.exchange.values import Row, number, rows, text, time_of, word
from monitor.exchange.venues.bookings import MAX_PAGES, Cursor, Page, booked, merged, read_bookings, symbol_of
from monitor.exchange.venues.gate_account import CLASSIC
from monitor.exchange.venues.venue import Instruments

PAGE = 100
KINDS: Mapping[str, EntryKind] = {
    "fund": EntryKind.FUNDING,
    "pnl": EntryKind.REALISED,
    "fee": EntryKind.FEE,
    "refr": EntryKind.FEE,
    "dnw": EntryKind.TRANSFER,
    "bonus_dnw": EntryKind.TRANSFER,
    "bonus_offset": EntryKind.TRANSFER,
}
# Points pay for fees and are no money.
POINTS = frozenset({"point_dnw", "point_fee", "point_refr"})


async def read_ledger(client: Any, instruments: Instruments, modes: Mapping[str, str], since: datetime) -> Ledger:
    """`modes` are margin modes by settle currency."""
    read = partial(_read, client, instruments, since, MAX_PAGES // len(modes))
    return merged(await together(*(read(settle, mode) for settle, mode in modes.items())))


async def _read(
    client: Any, instruments: Instruments, since: datetime, max_pages: int, settle: str, mode: str
) -> Ledger:
    until = time_of(client.milliseconds())
    query = {"settle": settle, "from": int(since.timestamp()), "to": int(until.timestamp()) + 1, "limit": PAGE}

    async def ask(cursor: Cursor | None) -> Page:
        offset = int(cursor or 0)
        reply = await client.privateFuturesGetSettleAccountBook({**query, "offset": offset})
        page = rows(reply, "account_book")
        return Page(page, offset + PAGE if len(page) == PAGE else None)

    return await read_bookings(
        ask,
        lambda row: _entries(row, settle, instruments),
        _at,
        since=since,
        until=until,
        untold=() if mode == CLASSIC else (EntryKind.TRANSFER,),
        max_pages=max_pages,
    )


def _at(row: Row) -> datetime:
    return time_of(number(row, "time") * 1000)


def _entries(row: Row, settle: str, instruments: Instruments) -> Iterator[Entry]:
    at, kind, amount = _at(row), text(row, "type"), number(row, "change")
    parts = (row["id"],) if row.get("id") else (row["time"], kind, row["change"], row.get("balance"), word(row, "text"))
    name = " ".join(str(part) for part in (settle, *parts))
    amounts = {KINDS.get(kind, EntryKind.OTHER): 0.0 if kind in POINTS else amount}
    return booked(name, at, settle.upper(), symbol_of(row, instruments, "contract"), amounts)

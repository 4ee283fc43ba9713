"""What BingX booked to an account: user/income (5 calls a second and user), 1,000 rows at most of a stretch of time.

By BingX's documents and ccxt 4.5.90. Pages there are none, and in which order rows come is not documented: a stretch of
which as many are told as may be is asked for again in halves, the later one first. Three months are kept.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger, ledger_of
from monitor.exchange.values import Row, malformed, number, rows, text, time_of, word
from monitor.exchange.venues.bingx_orders import data_of
from monitor.exchange.venues.bookings import INSTANT, MAX_PAGES, booked, checked, in_milliseconds, symbol_of
from monitor.exchange.venues.venue import Instruments

PAGE = 1000
CALLS_PER_SECOND = 4
KINDS: Mapping[str, EntryKind] = {
    "FUNDING_FEE": EntryKind.FUNDING,
    "TRANSFER": EntryKind.TRANSFER,
    "TRIAL_FUND": EntryKind.TRANSFER,
    "REALIZED_PNL": EntryKind.REALISED,
    "INSURANCE_CLEAR": EntryKind.REALISED,
    "ADL": EntryKind.REALISED,
    "TRADING_FEE": EntryKind.FEE,
    "GTD_PRICE": EntryKind.FEE,
    "SYSTEM_DEDUCTION": EntryKind.FEE,
}


async def read_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    until = time_of(client.milliseconds())
    stretches, told, begins = [(in_milliseconds(since), in_milliseconds(until))], list[Row](), until
    for _ in range(MAX_PAGES):
        start, end = stretches.pop()
        page = await _incomes(client, start, end)
        if len(page) < PAGE:
            told += page
            begins = time_of(start) - INSTANT
        elif start < end:
            middle = (start + end) // 2
            stretches += [(start, middle), (middle + 1, end)]
        else:
            raise malformed("income: more rows of one millisecond than can be told")
        if not stretches:
            begins = since
            break
    entries = (entry for row in told for entry in _entries(row, instruments))
    return checked(ledger_of(entries, max(since, begins), until))


async def _incomes(client: Any, start: int, end: int) -> list[Row]:
    """Null where there are none."""
    reply = await client.swapV2PrivateGetUserIncome({"startTime": start, "endTime": end, "limit": PAGE})
    found = data_of(reply, "income")
    return rows([] if found is None else found, "income.data")


def _entries(row: Row, instruments: Instruments) -> Iterator[Entry]:
    """`tranId` may name several rows: what tells one from another is all of it."""
    kind, at, amount = text(row, "incomeType"), time_of(number(row, "time")), number(row, "income")
    parts = (kind, word(row, "tranId"), word(row, "tradeId"), row["time"], word(row, "symbol"), row["income"])
    name, symbol = " ".join(map(str, parts)), symbol_of(row, instruments)
    return booked(name, at, text(row, "asset"), symbol, {KINDS.get(kind, EntryKind.OTHER): amount})

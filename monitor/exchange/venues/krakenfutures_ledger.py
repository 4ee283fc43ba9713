"""What Kraken Futures booked to an account: the account log of its history API, the newest entries first.

By Kraken's documents, its support pages on the log, and a row in ccxt 4.5.90. A trade is told twice, as the change of a
balance and as that of a position, which is left out. What one row realised, its funding and its fee stand in columns;
of any other word the change of the balance counts. The history API has a budget of its own: a call weighs 1 to 10 of
100 in ten minutes by how much is asked for, 3 of up to 1,000 entries.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.values import Row, mapping, number, optional_number, rows, text, time_of, word
from monitor.exchange.venues.bookings import Cursor, Page, booked, in_milliseconds, read_bookings
from monitor.exchange.venues.krakenfutures_account import time_at
from monitor.exchange.venues.venue import Instruments

PAGE = 1000
# Each has columns for what it realised, its funding and its fee.
OF_POSITIONS = frozenset(
    (
        *("futures trade", "futures liquidation", "futures assignor", "futures assignee", "covered liquidation"),
        *("futures unwind counterparty", "futures unwind bankrupt", "settlement", "funding rate change"),
    )
)
KINDS: Mapping[str, EntryKind] = {
    **dict.fromkeys(
        ("transfer", "cross-exchange transfer", "subaccount transfer", "admin transfer"), EntryKind.TRANSFER
    ),
    **dict.fromkeys(("interest payment", "kfee applied", "tax withheld", "tax refund"), EntryKind.FEE),
}
# Of a coin for another, for its worth.
CONVERSION = "conversion"


async def read_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    until = time_of(client.milliseconds())
    asked = {"since": in_milliseconds(since), "before": in_milliseconds(until), "sort": "desc", "count": PAGE}

    async def ask(cursor: Cursor | None) -> Page:
        """A further page is of the entries before the last one, by number."""
        upto = {} if cursor is None else {"to": cursor}
        log = mapping(await client.historyGetAccountLog({**asked, **upto}), "account-log")
        page = rows(log.get("logs"), "logs")
        return Page(page, int(min(number(row, "id") for row in page)) - 1 if len(page) >= PAGE else None)

    return await read_bookings(
        ask,
        lambda row: _entries(client, row, instruments),
        lambda row: time_at(row, "date"),
        since=since,
        until=until,
    )


def _entries(client: Any, row: Row, instruments: Instruments) -> Iterator[Entry]:
    asset, contract, said = text(row, "asset"), word(row, "contract"), text(row, "info")
    if asset == contract or said == CONVERSION:
        return iter(())
    name, instrument = f"{number(row, 'id'):.0f}", instruments.get(contract.upper())
    return booked(
        name,
        time_at(row, "date"),
        client.safe_currency_code(asset.upper()),
        None if instrument is None else instrument.symbol,
        _of_position(row) if said in OF_POSITIONS else {KINDS.get(said, EntryKind.OTHER): _change(row)},
    )


def _of_position(row: Row) -> Mapping[EntryKind, float]:
    return {
        EntryKind.REALISED: optional_number(row, "realized_pnl") or 0.0,
        EntryKind.FUNDING: optional_number(row, "realized_funding") or 0.0,
        EntryKind.FEE: -(optional_number(row, "fee") or 0.0),
    }


def _change(row: Row) -> float:
    """Of the balance."""
    return number(row, "new_balance") - number(row, "old_balance")

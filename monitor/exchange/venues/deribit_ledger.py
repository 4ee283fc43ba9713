"""What Deribit booked to an account: private/get_transaction_log, currency by currency.

By Deribit's documents and the rows shown there. The newest rows come first, 250 a page at most, and a token asks for
the next; one call a second is allowed (10,000 credits, as much as twenty others). What a trade of a future changes is
its fee; what it gained reaches the balance with the daily settlement, whose change holds the session's funding
(`total_interest_pl`) too.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.together import together
from monitor.exchange.values import Row, mapping, number, optional_number, rows, text, time_of
from monitor.exchange.venues.bookings import (
    MAX_PAGES,
    Cursor,
    Page,
    booked,
    in_milliseconds,
    merged,
    read_bookings,
    symbol_of,
)
from monitor.exchange.venues.venue import Instruments

PAGE = 250
# Which takes away the whole of what is refilled in a second.
WEIGHT, CALLS_PER_SECOND = 20, 1
TRADE, SETTLEMENT, SWAP = "trade", "settlement", "swap"
KINDS: Mapping[str, EntryKind] = {
    "delivery": EntryKind.REALISED,
    "liquidation": EntryKind.REALISED,
    **dict.fromkeys(("deposit", "withdrawal", "transfer", "correction"), EntryKind.TRANSFER),
}
# Two sums of the venue's figures differ by less than this, in any coin.
ROUNDING = 1e-9


async def read_ledger(client: Any, instruments: Instruments, currencies: Sequence[str], since: datetime) -> Ledger:
    read = partial(_read, client, instruments, since, max(1, MAX_PAGES // len(currencies)))
    return merged(await together(*(read(currency) for currency in currencies)))


async def _read(client: Any, instruments: Instruments, since: datetime, max_pages: int, currency: str) -> Ledger:
    until = time_of(client.milliseconds())
    times = {"start_timestamp": in_milliseconds(since), "end_timestamp": in_milliseconds(until)}

    async def ask(cursor: Cursor | None) -> Page:
        more = {} if cursor is None else {"continuation": cursor}
        reply = await client.privateGetGetTransactionLog({"currency": currency, **times, "count": PAGE, **more})
        result = mapping(mapping(reply, "reply").get("result"), "result")
        following = optional_number(result, "continuation")
        return Page(rows(result.get("logs"), "logs"), None if following is None else int(following))

    return await read_bookings(
        ask,
        lambda row: _entries(client, row, instruments),
        lambda row: time_of(number(row, "timestamp")),
        since=since,
        until=until,
        max_pages=max_pages,
    )


def _entries(client: Any, row: Row, instruments: Instruments) -> Iterator[Entry]:
    coin, symbol = text(row, "currency"), symbol_of(row, instruments, "instrument_name")
    amounts = _amounts(text(row, "type"), row, is_future=symbol is not None)
    name = f"{coin} {number(row, 'id'):.0f}"
    return booked(name, time_of(number(row, "timestamp")), client.safe_currency_code(coin), symbol, amounts)


def _amounts(kind: str, row: Row, *, is_future: bool) -> Mapping[EntryKind, float]:
    """What is exchanged for its worth, an option or a coin for another, is none: of such a trade the fee is left."""
    change = number(row, "change")
    if kind == TRADE:
        fee = -(optional_number(row, "commission") or 0.0)
        gain = _more_than_rounding(change - fee) if is_future else 0.0
        return {EntryKind.REALISED: gain, EntryKind.FEE: fee}
    if kind == SWAP:
        return {}
    if kind == SETTLEMENT:
        funding = optional_number(row, "total_interest_pl") or 0.0
        return {EntryKind.REALISED: _more_than_rounding(change - funding), EntryKind.FUNDING: funding}
    return {KINDS.get(kind, EntryKind.OTHER): change}


def _more_than_rounding(amount: float) -> float:
    return amount if abs(amount) > ROUNDING else 0.0

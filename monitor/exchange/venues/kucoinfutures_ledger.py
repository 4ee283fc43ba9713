"""What KuCoin booked to an account: transaction-history (weight 2) of classic ones, account/ledger (4) of unified ones.

Both are asked for day by day, the latest first: a classic account's history is told of one day at once, and of how many
the other's is not documented. Classic pages hold 50 rows, the newest first, and the number of the last one asks for the
next; unified ones hold 200. By KuCoin's documents and rows in ccxt 4.5.90. A classic account is told what each period
of funding realised; that funding and fees are in that sum is not documented, and they are told nowhere else at once. A
period that is not over is "Pending", and left out until it is. Amounts are signed by the words of their row.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.values import Row, boolean, malformed, mapping, number, rows, text, time_of
from monitor.exchange.venues.bookings import MAX_PAGES, Cursor, Page, booked, in_milliseconds, read_bookings, symbol_of
from monitor.exchange.venues.kucoinfutures_account import code_of, data_of
from monitor.exchange.venues.venue import Instruments

PAGE, UNIFIED_PAGE = 50, 200
DAY_MS = 86_400_000
# One call a day at least, and one more where a day has more than a page.
WINDOW = timedelta(days=MAX_PAGES - 1)
NANOSECONDS_A_MILLISECOND = 1_000_000
COMPLETED = "Completed"
CLASSIC: Mapping[str, EntryKind] = {
    "RealisedPNL": EntryKind.REALISED,
    **dict.fromkeys(("Deposit", "Withdrawal", "TransferIn", "TransferOut"), EntryKind.TRANSFER),
}
GOES_OUT = frozenset({"Withdrawal", "TransferOut"})
UNTOLD_OF_CLASSIC = (EntryKind.FUNDING, EntryKind.FEE)
UNIFIED: Mapping[str, EntryKind] = {
    "FUNDING_FEE": EntryKind.FUNDING,
    "FUTURES_EXCHANGE_CLOSE": EntryKind.REALISED,
    # What opening moves is its fee.
    **dict.fromkeys(("FUTURES_EXCHANGE_OPEN", "FUTURES_EXCHANGE_REBATE", "SPOT_EXCHANGE_REBATE"), EntryKind.FEE),
    **dict.fromkeys(
        ("DEDUCTION_FEES", "RETURNED_FEES", "KCS_DEDUCTION_FEES", "KCS_RETURNED_FEES", "LIABILITY_INTEREST"),
        EntryKind.FEE,
    ),
    **dict.fromkeys(("TRANSFER", "SUB_TRANSFER", "SUB_TO_SUB_TRANSFER"), EntryKind.TRANSFER),
}
# A coin for another, for its worth.
EXCHANGES = frozenset({"TRADE_EXCHANGE", "SPOT_EXCHANGE", "AUTO_EXCHANGE_USER"})
SIGNS = {"IN": 1.0, "OUT": -1.0}


async def classic_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    async def ask(times: Mapping[str, int], after: str | None) -> tuple[list[Row], str | None]:
        more = {} if after is None else {"offset": after}
        asked = {**times, "maxCount": PAGE, "forward": "true", **more}
        told = mapping(data_of(await client.futuresPrivateGetTransactionHistory(asked), "history"), "history")
        page = [row for row in rows(told.get("dataList"), "dataList") if text(row, "status") == COMPLETED]
        if not boolean(told, "hasMore"):
            return page, None
        if not page:
            raise malformed("history: an empty page says that there are more")
        return page, f"{min(number(row, 'offset') for row in page):.0f}"

    def entries(row: Row) -> Iterator[Entry]:
        word, amount = text(row, "type"), number(row, "amount")
        amounts = {CLASSIC.get(word, EntryKind.OTHER): -abs(amount) if word in GOES_OUT else amount}
        currency, symbol = code_of(text(row, "currency")), symbol_of(row, instruments, "remark")
        return booked(f"{number(row, 'offset'):.0f}", _at(row), currency, symbol, amounts)

    return await _by_days(client, ask, entries, _at, since, UNTOLD_OF_CLASSIC)


async def unified_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    async def ask(times: Mapping[str, int], after: str | None) -> tuple[list[Row], str | None]:
        more = {} if after is None else {"lastId": after}
        asked = {"accountType": "UNIFIED", **times, "pageSize": UNIFIED_PAGE, **more}
        told = mapping(data_of(await client.utaPrivateGetAccountLedger(asked), "account/ledger"), "account/ledger")
        page = rows(told.get("items"), "items")
        return page, text(page[-1], "id") if len(page) >= UNIFIED_PAGE else None

    def entries(row: Row) -> Iterator[Entry]:
        sign = SIGNS.get(text(row, "direction"))
        if sign is None:
            raise malformed(f"direction: {row['direction']:.20} is none")
        kind = text(row, "businessType")
        amount = 0.0 if kind in EXCHANGES else sign * abs(number(row, "amount"))
        amounts = {UNIFIED.get(kind, EntryKind.OTHER): amount}
        currency, symbol = code_of(text(row, "currency")), symbol_of(row, instruments, "remark")
        return booked(text(row, "id"), _at_nanoseconds(row), currency, symbol, amounts)

    return await _by_days(client, ask, entries, _at_nanoseconds, since, ())


async def _by_days(client: Any, ask: Any, entries: Any, at: Any, since: datetime, untold: Any) -> Ledger:
    """A cursor is the end of its day, and how to ask for a further page of it."""
    until = time_of(client.milliseconds())
    since = max(since, until - WINDOW)
    start_ms, until_ms = in_milliseconds(since), in_milliseconds(until)

    async def ask_a_day(cursor: Cursor | None) -> Page:
        told_end, _, after = str(cursor or until_ms).partition(" ")
        end_ms = int(told_end)
        begin_ms = max(start_ms, end_ms - DAY_MS)
        page, following = await ask({"startAt": begin_ms, "endAt": end_ms}, after or None)
        if following is not None:
            return Page(page, f"{end_ms} {following}")
        # In which order a day that is told whole stands is nothing to us.
        whole = sorted(page, key=at, reverse=True)
        return Page(whole, str(begin_ms - 1) if begin_ms > start_ms else None)

    return await read_bookings(ask_a_day, entries, at, since=since, until=until, untold=untold)


def _at(row: Row) -> datetime:
    return time_of(number(row, "time"))


def _at_nanoseconds(row: Row) -> datetime:
    return time_of(number(row, "ts") // NANOSECONDS_A_MILLISECOND)

"""What Binance booked to an account: the income histories of fapi (weight 30), dapi (20) and papi (30 each).

The oldest rows come first, from startTime on, at most 1,000 a call. Types as the documents and ccxt 4.5.90 list them; a
recorded row is one of funding. `tranId` is unique within a type alone, and the documents say nothing of the two sides
of a hedge: what tells an entry from another is all of the row. Transfers of a portfolio are not among its incomes: what
moves there under that name moves between its own wallets.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.values import Row, malformed, number, rows, text, time_of, word
from monitor.exchange.venues.bookings import Cursor, Page, read_bookings
from monitor.exchange.venues.venue import Instruments

INCOMES_A_PAGE = 1000
# Gifts are no profit of trading; the two sides of a conversion make up for each other in dollars.
KINDS: Mapping[str, EntryKind] = {
    "FUNDING_FEE": EntryKind.FUNDING,
    "SPECIAL_FUNDING_FEE": EntryKind.FUNDING,
    "TRANSFER": EntryKind.TRANSFER,
    "INTERNAL_TRANSFER": EntryKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": EntryKind.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": EntryKind.TRANSFER,
    "COIN_SWAP_DEPOSIT": EntryKind.TRANSFER,
    "COIN_SWAP_WITHDRAW": EntryKind.TRANSFER,
    "AUTO_EXCHANGE": EntryKind.TRANSFER,
    "WELCOME_BONUS": EntryKind.TRANSFER,
    "CONTEST_REWARD": EntryKind.TRANSFER,
    "REALIZED_PNL": EntryKind.REALISED,
    "DELIVERED_SETTELMENT": EntryKind.REALISED,
    "INSURANCE_CLEAR": EntryKind.REALISED,
    "OPTIONS_SETTLE_PROFIT": EntryKind.REALISED,
    "COMMISSION": EntryKind.FEE,
    "COMMISSION_REBATE": EntryKind.FEE,
    "API_REBATE": EntryKind.FEE,
    "REFERRAL_KICKBACK": EntryKind.FEE,
    "FEE_RETURN": EntryKind.FEE,
    "OPTIONS_PREMIUM_FEE": EntryKind.FEE,
    "POSITION_LIMIT_INCREASE_FEE": EntryKind.FEE,
    "BFUSD_REWARD": EntryKind.FEE,
}


async def income(client: Any, method: str, instruments: Instruments, since: datetime, *, of_portfolio: bool) -> Ledger:
    """One API's. Raises ReadError."""
    until = time_of(client.milliseconds())

    async def ask(cursor: Cursor | None) -> Page:
        """A page goes on from the instant in which the one before ended."""
        start_ms = round(since.timestamp() * 1000) if cursor is None else cursor
        page = rows(await getattr(client, method)({"startTime": start_ms, "limit": INCOMES_A_PAGE}), "income")
        is_last = len(page) < INCOMES_A_PAGE
        return Page(page, None if is_last else round(max(number(row, "time") for row in page)))

    def entries(row: Row) -> Iterable[Entry]:
        entry = _entry(row, method, instruments)
        return () if of_portfolio and entry.kind is EntryKind.TRANSFER else (entry,)

    return await read_bookings(
        ask,
        entries,
        _at,
        since=since,
        until=until,
        oldest_first=True,
        untold={EntryKind.TRANSFER} if of_portfolio else (),
    )


def _entry(row: Row, method: str, instruments: Instruments) -> Entry:
    """A contract that is listed no more has no symbol of ours."""
    kind, raw = text(row, "incomeType"), word(row, "symbol")
    instrument, amount, currency = instruments.get(raw), number(row, "income"), text(row, "asset")
    parts = (method, kind, _number_of(row), raw, row.get("tradeId") or "", row["income"], currency)
    return Entry(
        id=":".join(map(str, parts)),
        at=_at(row),
        kind=KINDS.get(kind, EntryKind.OTHER),
        currency=currency,
        amount=amount,
        symbol=instrument.symbol if instrument is not None else None,
    )


def _at(row: Row) -> datetime:
    return time_of(number(row, "time"))


def _number_of(row: Row) -> object:
    """Sent as a number or as text."""
    told = row.get("tranId")
    if not isinstance(told, str | int) or isinstance(told, bool):
        raise malformed("tranId: expected a number or text")
    return told

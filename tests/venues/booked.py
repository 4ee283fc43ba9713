"""Accounts of venues whose bookings are read, and one booking in each venue's own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.exchange.venues import (
    bingx_ledger,
    bitget_orders,
    deribit_ledger,
    gate_ledger,
    krakenfutures_ledger,
    kucoinfutures_ledger,
    mexc_ledger,
)
from monitor.paper.bookings import Booking
from monitor.paper.dialects.krakenfutures import iso
from monitor.paper.faults import FaultKind
from monitor.paper.formats import milliseconds
from tests.venues import bingx, bitget, deribit, gate, hyperliquid, krakenfutures, kucoinfutures, mexc
from tests.venues.kit import AccountCase, VenueCase

STABLES = ("USDT", "USDC")
EMPTY = frozenset({FaultKind.EMPTY_LIST})


@dataclass(frozen=True, kw_only=True)
class BookedCase:
    """`call` is named as the dialect names it. `tells` says what of the engine's bookings this account is told.

    `strange` makes a profile of one booking in a word that nobody knows: 1.25 of `currency` came in at that time.
    `pager` is the module whose PAGE says how many rows are asked for at once; where the venue is not asked, it tells
    `page` of them. `pages` are read at most. `honest` are faults of which
    nothing shows that they are one: a list that is empty.
    """

    case: VenueCase
    account: AccountCase
    call: str
    pager: Any = None
    page: int = 500
    pages: int
    strange: Callable[[datetime], Mapping[str, Any]]
    currency: str = "USDT"
    tells: Callable[[Booking], bool] = lambda _booking: True
    untold: frozenset[EntryKind] = frozenset()
    without_symbol: frozenset[EntryKind] = frozenset({EntryKind.TRANSFER})
    honest: frozenset[FaultKind] = field(default=frozenset())

    def __str__(self) -> str:
        return f"{self.case.venue}-{self.account.name}"


def _stable(booking: Booking) -> bool:
    return booking.asset in STABLES


def _bill(at: datetime) -> Mapping[str, Any]:
    told = {"symbol": "", "coin": "USDT", "amount": "1.25", "fee": "0"}
    names = {"billId": "1", "id": "1", "businessType": "telepathy", "type": "TELEPATHY"}
    return {"bills": ({**told, **names, "cTime": str(milliseconds(at)), "ts": str(milliseconds(at))},)}


def _in_account_book(at: datetime) -> Mapping[str, Any]:
    row = {"time": at.timestamp(), "change": "1.25", "balance": "9", "text": "", "type": "telepathy", "contract": ""}
    return {"booked": {"usdt": (row,)}}


def _in_account_log(at: datetime) -> Mapping[str, Any]:
    row = {"id": 1, "date": iso(at), "asset": "usd", "contract": None, "info": "telepathy"}
    return {"log": ({**row, "old_balance": 1.0, "new_balance": 2.25, "realized_pnl": None},)}


def _among_updates(at: datetime) -> Mapping[str, Any]:
    delta = {"type": "telepathy", "usdc": "1.25"}
    return {"updates": ({"time": milliseconds(at), "hash": "0x1", "delta": delta},)}


def _in_transaction_log(at: datetime) -> Mapping[str, Any]:
    row = {"id": 1, "timestamp": milliseconds(at), "currency": "USDC", "type": "telepathy", "change": 1.25}
    return {"log": ({**row, "instrument_name": None},)}


def _among_transfers(at: datetime) -> Mapping[str, Any]:
    row = {"id": 1, "currency": "USDT", "amount": 1.25, "type": "TELEPATHY", "state": "SUCCESS"}
    return {"transfers": ({**row, "createTime": milliseconds(at)},)}


def _among_incomes(at: datetime) -> Mapping[str, Any]:
    row = {"symbol": "", "incomeType": "TELEPATHY", "income": "1.25", "asset": "USDT", "tranId": "1", "tradeId": ""}
    return {"incomes": ({**row, "time": milliseconds(at)},)}


def _in_ledger(at: datetime) -> Mapping[str, Any]:
    """A row in the words of classic and of unified accounts."""
    row = {"currency": "USDT", "amount": 1.25, "remark": "", "direction": "IN", "status": "Completed"}
    words = {"type": "Telepathy", "businessType": "TELEPATHY", "offset": 1, "id": "1"}
    return {"booked": ({**row, **words, "time": milliseconds(at), "ts": milliseconds(at) * 1_000_000},)}


BOOKED: tuple[BookedCase, ...] = (
    BookedCase(
        case=bitget.CLASSIC,
        account=bitget.CLASSIC.accounts[0],
        call="/api/v2/mix/account/bill USDT-FUTURES",
        pager=bitget_orders,
        pages=5,
        strange=_bill,
        tells=_stable,
    ),
    BookedCase(
        case=bitget.UNIFIED,
        account=bitget.UNIFIED.accounts[1],
        call="/api/v3/account/financial-records OTHER",
        pager=bitget_orders,
        pages=2,
        strange=_bill,
    ),
    BookedCase(
        case=gate.GATE_CASE,
        account=gate.GATE_CASE.accounts[0],
        call="/api/v4/futures/usdt/account_book",
        pager=gate_ledger,
        pages=5,
        strange=_in_account_book,
        tells=lambda booking: booking.asset in ("USDT", "BTC"),
        honest=EMPTY,
    ),
    BookedCase(
        case=gate.GATE_CASE,
        account=gate.GATE_CASE.accounts[3],
        call="/api/v4/futures/usdt/account_book",
        pager=gate_ledger,
        pages=5,
        strange=_in_account_book,
        tells=lambda booking: booking.asset in ("USDT", "BTC"),
        untold=frozenset({EntryKind.TRANSFER}),
        honest=EMPTY,
    ),
    *(
        BookedCase(
            case=krakenfutures.KRAKEN_CASE,
            account=account,
            call="/api/history/v3/account-log",
            pager=krakenfutures_ledger,
            pages=10,
            strange=_in_account_log,
            currency="USD",
        )
        for account in (krakenfutures.MIXED, krakenfutures.COINS)
    ),
    *(
        BookedCase(
            case=hyperliquid.HYPERLIQUID_CASE,
            account=account,
            call=call,
            pages=4,
            strange=_among_updates,
            currency="USDC",
            tells=_stable,
            honest=EMPTY,
        )
        for account, call in (
            (hyperliquid.STANDARD[1], "userNonFundingLedgerUpdates"),
            (hyperliquid.UNIFIED[1], "userFillsByTime"),
            (hyperliquid.STANDARD[0], "userFunding"),
        )
    ),
    *(
        BookedCase(
            case=deribit.DERIBIT_CASE,
            account=account,
            call="/api/v2/private/get_transaction_log",
            pager=deribit_ledger,
            pages=2,
            strange=_in_transaction_log,
            currency="USDC",
        )
        for account in deribit.DERIBIT_CASE.accounts[1::5][:2]
    ),
    *(
        BookedCase(
            case=mexc.MEXC_CASE,
            account=mexc.MIXED,
            call=call,
            pager=mexc_ledger,
            pages=5,
            strange=_among_transfers,
            untold=frozenset({EntryKind.REALISED, EntryKind.FEE}),
        )
        for call in ("/api/v1/private/position/funding_records", "/api/v1/private/account/transfer_record")
    ),
    BookedCase(
        case=bingx.BINGX_CASE,
        account=bingx.BINGX_CASE.accounts[0],
        call="/openApi/swap/v2/user/income",
        pager=bingx_ledger,
        pages=10,
        strange=_among_incomes,
        tells=_stable,
    ),
    BookedCase(
        case=kucoinfutures.CLASSIC,
        account=kucoinfutures.CLASSIC.accounts[0],
        call="/api/v1/transaction-history",
        pager=kucoinfutures_ledger,
        pages=10,
        strange=_in_ledger,
        untold=frozenset({EntryKind.FUNDING, EntryKind.FEE}),
    ),
    BookedCase(
        case=kucoinfutures.UNIFIED,
        account=kucoinfutures.UNIFIED.accounts[0],
        call="/api/ua/v1/account/ledger",
        page=200,
        pages=10,
        strange=_in_ledger,
    ),
)

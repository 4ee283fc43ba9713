"""What Bitget booked to an account: the bills of classic accounts, the financial records of unified ones.

Both are told a hundred a page, the newest first, of thirty days at once (10 and 20 calls a second and user). A row
holds the amount and, in a column of its own, the fee, which is below 0 where it was paid; measured by others of classic
accounts: an opening has no amount, a close its profit. By the documents, and by the words in ccxt 4.5.90: nothing here
was seen in a recorded reply of an account of ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.together import together
from monitor.exchange.values import Row, number, text, time_of
from monitor.exchange.venues.bitget_orders import page_of
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

# What is asked for at once.
WINDOW = timedelta(days=30)
# A unified account's, each asked for by itself; spot ones for the transfers among them.
CATEGORIES = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES", "SPOT", "MARGIN", "OTHER")
PAGES_OF_A_CATEGORY = 2

CLASSIC: Mapping[str, EntryKind] = {
    "contract_settle_fee": EntryKind.FUNDING,
    **dict.fromkeys(
        (
            *("open_long", "open_short", "close_long", "close_short", "buy", "sell", "delivery_long", "delivery_short"),
            *("force_close_long", "force_close_short", "force_buy", "force_sell", "burst_buy", "burst_sell"),
            # The name of what the risk fund bears of a loss is misspelt by the venue.
            *("burst_long_loss_query", "burst_short_loss_query", "risk_captital_user_transfer"),
        ),
        EntryKind.REALISED,
    ),
    **dict.fromkeys(
        (
            *("trans_to_exchange", "trans_from_exchange", "trans_to_contract", "trans_from_contract"),
            *("trans_to_cross", "trans_from_cross", "trans_to_isolated", "trans_from_isolated"),
            *("trans_to_otc", "trans_from_otc", "transfer_in", "transfer_out"),
            *("cash_gift_issue", "cash_gift_recycle", "bonus_issue", "bonus_recycle", "bonus_expired"),
        ),
        EntryKind.TRANSFER,
    ),
}
# Closes of isolated positions (FIXED_..., or told to be) are none of these: whether they hold margin is not documented.
UNIFIED: Mapping[str, EntryKind] = {
    **dict.fromkeys(
        (
            *("CONTRACT_MAIN_SETTLE_FEE_USER_IN", "CONTRACT_MAIN_SETTLE_FEE_USER_OUT"),
            *("MARGIN_SETTLE_FEE_USER_IN", "MARGIN_SETTLE_FEE_USER_OUT"),
            *("FIXED_SETTLE_FEE_USER_IN", "FIXED_SETTLE_FEE_USER_OUT"),
            *("RWA_CONTRACT_MAIN_SETTLE_FEE_USER_IN", "RWA_CONTRACT_MAIN_SETTLE_FEE_USER_OUT"),
            *("RWA_FIXED_SETTLE_FEE_USER_IN", "RWA_FIXED_SETTLE_FEE_USER_OUT"),
        ),
        EntryKind.FUNDING,
    ),
    **dict.fromkeys(
        (
            *("OPEN_LONG", "OPEN_SHORT", "CLOSE_LONG", "CLOSE_SHORT", "BUY_DEAL", "SELL_DEAL"),
            *("FORCE_CLOSE_LONG", "FORCE_CLOSE_SHORT", "BURST_CLOSE_LONG", "BURST_CLOSE_SHORT"),
            *("OFFSET_REDUCE_CLOSE_LONG", "OFFSET_REDUCE_CLOSE_SHORT", "FORCE_BUY_SSM", "FORCE_SELL_SSM"),
            *("BURST_BUY_SSM", "BURST_SELL_SSM", "RISK_LIQ_USER_IN", "RISK_LIQ_USER_OUT"),
            *("DELIVERY_LONG", "DELIVERY_SHORT"),
        ),
        EntryKind.REALISED,
    ),
    **dict.fromkeys(("ORDER_PLF_FEE_OUT", "INTEREST_SETTLEMENT_OUT", "INTEREST_REPAYMENT", "LIQ_FEE"), EntryKind.FEE),
    **dict.fromkeys(
        (
            *("TRANSFER_IN", "TRANSFER_OUT", "RESERVE_TRANSFER_IN", "RESERVE_TRANSFER_OUT"),
            *("LIQ_TRANSFER_IN", "LIQ_TRANSFER_OUT", "ON_CHAIN_TRANSFER_REFUND", "ON_CHAIN_TRANSFER_OUT"),
            *("MT5_TRANSFER_IN", "MT5_REFUND_IN", "MT5_TRANSFER_OUT", "TRACE_TRANSFER_USER_OUT"),
            *("TRACE_TRANSFER_USER_IN", "TRACE_TRANSFER_REFUND_IN", "FINANCIAL_TRANSFER_OUT", "FINANCIAL_TRANSFER_IN"),
            *("CONVERT_TRANSFER_IN", "CONVERT_TRANSFER_OUT", "BGPAY_TRANSFER_OUT", "BGPAY_REFUND_IN"),
            *("TRACE_SHARE_BENEFIT_USER_OUT", "TRACE_SHARE_BENEFIT_USER_IN", "PAPTRADING_USER_IN"),
        ),
        EntryKind.TRANSFER,
    ),
}
# Moves between parts of what one account holds, and what is exchanged for its worth.
WITHIN = frozenset(
    (
        *("append_margin", "reduce_margin", "auto_append_margin", "adjust_down_lever_append_margin"),
        *("INCREASE_MARGIN", "REDUCE_MARGIN", "MARGIN_LEVER_ORDER_REFROZEN", "MARGIN_LEVER_ORDER_FROZEN"),
        *("MARGIN_LEVER_POS_IN", "MARGIN_BACK", "ORDER_DEALT_FROZEN_OUT", "ORDER_DEALT_IN"),
        *("BORROW", "REPAYMENT", "LIQ_REPAYMENT", "EXCHANGE_SOURCE_TOKEN_USER_OUT", "EXCHANGE_TARGET_TOKEN_USER_IN"),
    )
)


@dataclass(frozen=True, slots=True)
class _Records:
    """How one API tells them: what a part of them is asked for by, what its pages hold (as `page_of` takes it), and the
    columns of a row: its name, its word, its time."""

    part: str
    page: tuple[str, str, str]
    columns: tuple[str, str, str]
    kinds: Mapping[str, EntryKind]


_BILLS = _Records("productType", ("bills", "endId", "idLessThan"), ("billId", "businessType", "cTime"), CLASSIC)
_FINANCIAL = _Records("category", ("list", "cursor", "cursor"), ("id", "type", "ts"), UNIFIED)


async def classic_ledger(client: Any, instruments: Instruments, products: Sequence[str], since: datetime) -> Ledger:
    call = partial(_read, client, client.privateMixGetV2MixAccountBill, _BILLS, instruments, since)
    return merged(await together(*(call(product, MAX_PAGES // len(products)) for product in products)))


async def unified_ledger(client: Any, instruments: Instruments, since: datetime) -> Ledger:
    call = partial(_read, client, client.privateUtaGetV3AccountFinancialRecords, _FINANCIAL, instruments, since)
    return merged(await together(*(call(category, PAGES_OF_A_CATEGORY) for category in CATEGORIES)))


async def _read(
    client: Any, call: Any, records: _Records, instruments: Instruments, since: datetime, part: str, max_pages: int
) -> Ledger:
    until = time_of(client.milliseconds())
    since = max(since, until - WINDOW)
    times = {"startTime": str(in_milliseconds(since)), "endTime": str(in_milliseconds(until))}

    async def ask(cursor: Cursor | None) -> Page:
        after = None if cursor is None else str(cursor)
        return Page(*await page_of(call, {records.part: part, **times}, records.page, after))

    return await read_bookings(
        ask,
        lambda row: _entries(row, records, instruments),
        lambda row: time_of(number(row, records.columns[2])),
        since=since,
        until=until,
        max_pages=max_pages,
    )


def _entries(row: Row, records: _Records, instruments: Instruments) -> Iterator[Entry]:
    """Where the word says that it went out, it did: whether amounts are signed is not documented of all words."""
    name, word, time = records.columns
    said, amount, fee = text(row, word), number(row, "amount"), number(row, "fee")
    kind = records.kinds.get(said, EntryKind.OTHER)
    if kind is EntryKind.REALISED and row.get("positionType") == "isolated":
        kind = EntryKind.OTHER
    if said in WITHIN:
        amount = 0.0
    elif said.endswith("_OUT"):
        amount = -abs(amount)
    is_fee = kind is EntryKind.FEE
    amounts: dict[EntryKind, float] = {kind: amount + fee} if is_fee else {kind: amount, EntryKind.FEE: fee}
    at = time_of(number(row, time))
    return booked(text(row, name), at, text(row, "coin"), symbol_of(row, instruments), amounts)

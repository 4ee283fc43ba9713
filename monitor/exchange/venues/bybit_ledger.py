"""What Bybit booked to a unified account: /v5/account/transaction-log, the newest first, 50 rows a page, seven days.

A row moves one coin by `change`, which is cashFlow + funding - fee. The documents changed their mind about the sign of
`funding`, so it is what the others leave of `change`. Of trades on spot and in options the fee alone is told: what they
exchange is worth what it was. Types as the documents list them; recorded rows were not at hand but for one trade.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind
from monitor.exchange.values import Row, number, optional_number, text, time_of, word
from monitor.exchange.venues.venue import Instruments

PAGE, MAX_PAGES = 50, 20
CONTRACTS = ("linear", "inverse")
TRADED = ("TRADE", "SETTLEMENT", "DELIVERY", "LIQUIDATION", "ADL")
PAYS_FUNDING = "SETTLEMENT"
# One coin for another of the same worth, or a loan and what is owed for it.
EXCHANGED = frozenset(
    {
        "CURRENCY_BUY",
        "CURRENCY_SELL",
        "SPOT_REPAYMENT_BUY",
        "SPOT_REPAYMENT_SELL",
        "BORROWED_AMOUNT_INS_LOAN",
        "PRINCIPLE_REPAYMENT_INS_LOAN",
        "AUTO_PRINCIPLE_REPAYMENT_INS_LOAN",
        "AUTO_SOLD_COLLATERAL_INS_LOAN",
        "AUTO_BUY_LIABILITY_INS_LOAN",
    }
)
KINDS: Mapping[str, EntryKind] = {
    **dict.fromkeys(
        (
            "TRANSFER_IN",
            "TRANSFER_OUT",
            "TRANSFER_IN_INS_LOAN",
            "TRANSFER_OUT_INS_LOAN",
            "PREMARKET_TRANSFER_OUT",
            "BONUS_TRANSFER_IN",
            "BONUS_TRANSFER_OUT",
            "PEF_TRANSFER_IN",
            "PEF_TRANSFER_OUT",
            "BONUS",
            "BONUS_RECOLLECT",
            "AIRDROP",
            "AUTO_DEDUCTION",
            "LOANS_BORROW_FUNDS",
            "LOANS_PLEDGE_ASSET",
            "TOKENS_SUBSCRIPTION",
            "TOKENS_REDEMPTION",
            "FLEXIBLE_STAKING_SUBSCRIPTION",
            "FLEXIBLE_STAKING_REDEMPTION",
            "FIXED_STAKING_SUBSCRIPTION",
            "CUSTODY_LOCK",
            "CUSTODY_UNLOCK",
            "CUSTODY_UNLOCK_REFUND",
        ),
        EntryKind.TRANSFER,
    ),
    **dict.fromkeys(
        (
            "FEE_REFUND",
            "INTEREST",
            "INTEREST_REPAYMENT_INS_LOAN",
            "AUTO_INTEREST_REPAYMENT_INS_LOAN",
            "CUSTODY_NETWORK_FEE",
            "CUSTODY_SETTLE_FEE",
            "PEF_PROFIT_SHARE",
        ),
        EntryKind.FEE,
    ),
}


def booked_at(row: Row) -> datetime:
    return time_of(number(row, "transactionTime"))


def entries(client: Any, row: Row, instruments: Instruments) -> Iterator[Entry]:
    kind = text(row, "type")
    if kind in EXCHANGED:
        return
    if kind not in TRADED:
        yield from _entry(client, row, "", KINDS.get(kind, EntryKind.OTHER), number(row, "change"), None)
        return
    cash, fee = optional_number(row, "cashFlow") or 0.0, optional_number(row, "fee") or 0.0
    category = text(row, "category")
    instrument = instruments.get(word(row, "symbol")) if category in CONTRACTS else None
    symbol = instrument.symbol if instrument is not None else None
    if category in CONTRACTS:
        yield from _entry(client, row, " profit", EntryKind.REALISED, cash, symbol)
        if kind == PAYS_FUNDING:
            funding = number(row, "change") - cash + fee
            yield from _entry(client, row, " funding", EntryKind.FUNDING, funding, symbol)
    yield from _entry(client, row, " fee", EntryKind.FEE, -fee, symbol)


def _entry(client: Any, row: Row, part: str, kind: EntryKind, amount: float, symbol: str | None) -> Iterator[Entry]:
    """None where nothing was booked."""
    if amount:
        currency = client.safe_currency_code(text(row, "currency"))
        yield Entry(
            id=text(row, "id") + part, at=booked_at(row), kind=kind, currency=currency, amount=amount, symbol=symbol
        )

"""What OKX booked to a trading account: /account/bills of seven days, the newest first, 100 a page.

A bill moves one coin: `balChg` of the account, or `posBalChg` of an isolated position, whose funding stands in the one
or the other (ccxt 4.5.90 takes the first that is not 0). Of trades in contracts `pnl` and `fee` are told apart; what a
trade on spot exchanges is worth what it was, so its fee alone is told. Types as OKX's documents list them; recorded
bills at hand: a spot trade, a transfer, a funding payment.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind
from monitor.exchange.values import Row, number, optional_number, text, time_of, word
from monitor.exchange.venues.venue import Instruments

# Trade, delivery, liquidation, ADL, clawback, delta hedge, block, spread, moved position, settlement.
TRADED = frozenset({"2", "3", "5", "9", "10", "13", "14", "24", "32", "34"})
# Forced repayment, margin of a position, token conversion, quick margin, borrowing, repayment, conversions, loans.
EXCHANGED = frozenset({"4", "6", "11", "15", "16", "22", "27", "28", "29", "30", "33"})
KINDS: Mapping[str, EntryKind] = {
    # Transfer, to or from a strategy, structured products.
    **dict.fromkeys(("1", "12", "26"), EntryKind.TRANSFER),
    # Interest, and what copy trading shares of a profit.
    **dict.fromkeys(("7", "250", "251"), EntryKind.FEE),
    "8": EntryKind.FUNDING,
}
CONTRACTS = ("SWAP", "FUTURES")


def booked_at(row: Row) -> datetime:
    return time_of(number(row, "ts"))


def entries(client: Any, row: Row, instruments: Instruments) -> Iterator[Entry]:
    kind = text(row, "type")
    if kind in EXCHANGED:
        return
    if kind in TRADED:
        if word(row, "instType") in CONTRACTS:
            yield from _entry(client, row, instruments, " profit", EntryKind.REALISED, _amount(row, "pnl"))
        yield from _entry(client, row, instruments, " fee", EntryKind.FEE, _amount(row, "fee"))
        return
    amount = _amount(row, "balChg") or _amount(row, "posBalChg") or number(row, "balChg")
    yield from _entry(client, row, instruments, "", KINDS.get(kind, EntryKind.OTHER), amount)


def _amount(row: Row, key: str) -> float:
    return optional_number(row, key) or 0.0


def _entry(
    client: Any, row: Row, instruments: Instruments, part: str, kind: EntryKind, amount: float
) -> Iterator[Entry]:
    """None where nothing was booked. A contract that is listed no more has no symbol of ours."""
    instrument = instruments.get(word(row, "instId"))
    if amount:
        yield Entry(
            id=text(row, "billId") + part,
            at=booked_at(row),
            kind=kind,
            currency=client.safe_currency_code(text(row, "ccy")),
            amount=amount,
            symbol=instrument.symbol if instrument is not None else None,
        )

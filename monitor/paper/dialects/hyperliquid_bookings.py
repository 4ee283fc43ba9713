"""What Hyperliquid booked to an account, in its words: funding, transfers, and fills with what they realised.

Each told from a time on, the oldest first.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.paper.book import Account
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.contract import Contract
from monitor.paper.dialect import Call, Json
from monitor.paper.formats import amount, milliseconds

CoinOf = Callable[[Contract], str]
AddressOf = Callable[[Account], str]
Answer = Callable[[Call, str], Any]
ROWS, FILLS = 500, 2000
STABLES = ("USDC", "USDT")
NO_HASH, SOMEBODY = "0x" + "0" * 64, "0x" + "2" * 40


def questions(coin_of: CoinOf, address_of: AddressOf) -> Mapping[str, Answer]:
    """The answers by what is asked for."""
    return {
        "userFillsByTime": lambda call, _dex: _told(call, [*call.profile.fills, *_fills(call, coin_of)], FILLS),
        "userFunding": lambda call, _dex: _told(call, _fundings(call, coin_of), ROWS),
        "userNonFundingLedgerUpdates": lambda call, _dex: _told(
            call, [*call.profile.updates, *_updates(call, address_of(call.owner))], ROWS
        ),
    }


def _told(call: Call, rows: Iterable[Json], longest: int) -> list[Json]:
    since = json.loads(call.body)["startTime"]
    return sorted((row for row in rows if row["time"] >= since), key=lambda row: row["time"])[:longest]


def _fundings(call: Call, coin_of: CoinOf) -> Iterator[Json]:
    for booking in _of(call, EntryKind.FUNDING):
        delta = {"type": "funding", "coin": _coin(call, booking, coin_of), "usdc": amount(booking.amount)}
        rate = {"szi": "0.1", "fundingRate": "0.0000125", "nSamples": None}
        yield {"time": milliseconds(booking.time), "hash": NO_HASH, "delta": {**delta, **rate}}


def _updates(call: Call, address: str) -> Iterator[Json]:
    for booking in _of(call, EntryKind.TRANSFER):
        delta = _dollars(booking) if booking.asset == "USDC" else _tokens(booking, address, pooled=call.profile.pooled)
        yield {"time": milliseconds(booking.time), "hash": f"0x{booking.number:064x}", "delta": delta}


def _dollars(booking: Booking) -> Json:
    value = amount(abs(booking.amount))
    if booking.amount > 0:
        return {"type": "deposit", "usdc": value}
    return {"type": "withdraw", "usdc": value, "fee": "0.0"}


def _tokens(booking: Booking, address: str, *, pooled: bool) -> Json:
    """They come from the spot side; where that is collateral too, from somebody else."""
    value, comes = amount(abs(booking.amount)), booking.amount > 0
    told = {"token": booking.asset, "amount": value, "usdcValue": value, "fee": "0.0", "nonce": booking.number}
    if pooled:
        ends = (SOMEBODY, address) if comes else (address, SOMEBODY)
        return {"type": "spotTransfer", "user": ends[0], "destination": ends[1], **told}
    dexes = ("spot", "cash") if comes else ("cash", "spot")
    between = {"user": address, "destination": address, "sourceDex": dexes[0], "destinationDex": dexes[1]}
    return {"type": "send", **between, **told}


def _fills(call: Call, coin_of: CoinOf) -> Iterator[Json]:
    """The profit of a close, and each fee, as a fill of its own."""
    for booking in _of(call, EntryKind.REALISED, EntryKind.FEE):
        is_fee = booking.kind is EntryKind.FEE
        yield {
            "coin": _coin(call, booking, coin_of),
            "px": str(booking.price or 1.0),
            "sz": str(booking.contracts or 1.0),
            "side": "A",
            "time": milliseconds(booking.time),
            "startPosition": "1.0",
            "dir": "Open Long" if is_fee else "Close Long",
            "closedPnl": "0.0" if is_fee else amount(booking.amount),
            "fee": amount(-booking.amount) if is_fee else "0.0",
            "feeToken": booking.asset,
            "tid": booking.number,
            "hash": NO_HASH,
        }


def _of(call: Call, *kinds: EntryKind) -> Iterator[Booking]:
    """Inverse contracts are not told, nor are coins that are no collateral."""
    return (booking for booking in bookings_asked_for(call) if booking.kind in kinds and booking.asset in STABLES)


def _coin(call: Call, booking: Booking, coin_of: CoinOf) -> str:
    assert booking.symbol is not None
    return coin_of(call.engine.market(booking.symbol).contract)

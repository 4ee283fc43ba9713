"""What Hyperliquid booked to an account: funding, money that came or went, and what its fills realised and cost.

Each told from a time on, the oldest first, by POST /info: userFunding and userNonFundingLedgerUpdates 500 rows at most,
userFillsByTime 2,000 (a reply weighs one more for every 20 of them). By Hyperliquid's documents, the types of public
SDKs, and rows in ccxt 4.5.90's comments. A fill's closedPnl is without its fee. Of a liquidation the fills tell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.exchange.together import together
from monitor.exchange.values import Row, boolean, malformed, mapping, number, optional_number, rows, text, time_of, word
from monitor.exchange.venues.bookings import Cursor, Page, booked, in_milliseconds, merged, read_bookings, symbol_of
from monitor.exchange.venues.hyperliquid_records import FILLS_PAGE, SPOT
from monitor.exchange.venues.venue import Instruments

PAGE = 500
# By what is asked for: rows of a reply, and how many replies are read.
PAGES: Mapping[str, tuple[int, int]] = {
    "userFunding": (PAGE, 4),
    "userNonFundingLedgerUpdates": (PAGE, 4),
    "userFillsByTime": (FILLS_PAGE, 2),
}
USDC = "USDC"
# Where a transfer's money lies that is not in the account of perpetuals, but in pooled modes.
SPOT_DEX = "spot"
SENT = frozenset({"internalTransfer", "subAccountTransfer", "spotTransfer", "send"})
# Money that the account gives, but that a vault gets.
TO_VAULTS = frozenset({"vaultDeposit", "vaultCreate"})
EARNED = frozenset({"rewardsClaim", "vaultDistribution", "vaultLeaderCommission"})

Entries = Callable[[Row], Iterable[Entry]]


async def read_ledger(client: Any, address: str, instruments: Instruments, since: datetime, *, pooled: bool) -> Ledger:
    """`pooled`: what is on the spot side is collateral too."""
    told = (
        _read(client, address, since, "userFunding", lambda row: _funding(row, instruments)),
        _read(client, address, since, "userNonFundingLedgerUpdates", lambda row: _update(row, address, pooled=pooled)),
        _read(client, address, since, "userFillsByTime", lambda row: _fill(row, instruments)),
    )
    return merged(await together(*told))


async def _read(client: Any, address: str, since: datetime, kind: str, entries: Entries) -> Ledger:
    until = time_of(client.milliseconds())
    length, max_pages = PAGES[kind]

    async def ask(cursor: Cursor | None) -> Page:
        """A page goes on from the instant in which the one before ended."""
        start_ms = in_milliseconds(since) if cursor is None else cursor
        page = rows(await client.publicPostInfo({"type": kind, "user": address, "startTime": start_ms}), kind)
        return Page(page, None if len(page) < length else round(max(number(row, "time") for row in page)))

    return await read_bookings(ask, entries, _at, since=since, until=until, oldest_first=True, max_pages=max_pages)


def _at(row: Row) -> datetime:
    return time_of(number(row, "time"))


def _funding(row: Row, instruments: Instruments) -> Iterator[Entry]:
    """Told as `usdc` whatever the contract is settled in. One payment an hour and contract: no hash names it."""
    delta = mapping(row.get("delta"), "delta")
    instrument = instruments.get(text(delta, "coin"))
    currency, symbol = (USDC, None) if instrument is None else (instrument.settle, instrument.symbol)
    name = f"funding {number(row, 'time'):.0f} {delta['coin']}"
    return booked(name, _at(row), currency, symbol, {EntryKind.FUNDING: number(delta, "usdc")})


def _fill(row: Row, instruments: Instruments) -> Iterator[Entry]:
    """None of spot ones. The fee may be of another token than the profit."""
    coin, symbol = text(row, "coin"), symbol_of(row, instruments, "coin")
    if SPOT & set(coin):
        return
    token = text(row, "feeToken").upper()
    instrument = instruments.get(coin)
    currency = token if instrument is None else instrument.settle
    name = f"fill {number(row, 'tid'):.0f}"
    yield from booked(name, _at(row), currency, symbol, {EntryKind.REALISED: number(row, "closedPnl")})
    yield from booked(f"{name} fee", _at(row), token, symbol, {EntryKind.FEE: -number(row, "fee")})


def _update(row: Row, address: str, *, pooled: bool) -> Iterator[Entry]:
    delta = mapping(row.get("delta"), "delta")
    kind, at = text(delta, "type"), _at(row)
    currency, amounts = _currency(kind, delta), _amounts(kind, delta, address, pooled=pooled)
    parts = (kind, text(row, "hash"), row["time"], delta.get("nonce") or "", *amounts.values())
    return booked(" ".join(map(str, parts)), at, currency, None, amounts)


def _currency(kind: str, delta: Row) -> str:
    """What is sent names its token; anything else is in dollars where it names none."""
    if "usdc" in delta:
        return USDC
    token = text(delta, "token") if kind in SENT else word(delta, "token")
    return token.partition(":")[0].upper() or USDC


def _amounts(kind: str, delta: Row, address: str, *, pooled: bool) -> Mapping[EntryKind, float]:
    match kind:
        case "deposit":
            return {EntryKind.TRANSFER: number(delta, "usdc")}
        case "withdraw":
            return {EntryKind.TRANSFER: -number(delta, "usdc"), EntryKind.FEE: -_fee(delta)}
        case "accountClassTransfer":
            amount = number(delta, "usdc") if boolean(delta, "toPerp") else -number(delta, "usdc")
            return {EntryKind.TRANSFER: 0.0 if pooled else amount}
        case _ if kind in SENT:
            return _sent(kind, delta, address, pooled=pooled)
        case "vaultWithdraw":
            return {EntryKind.TRANSFER: _of_vault(delta, address) * number(delta, "netWithdrawnUsd")}
        case _ if kind in TO_VAULTS:
            return {EntryKind.TRANSFER: -_of_vault(delta, address) * number(delta, "usdc")}
        case "liquidation":
            return {}
        case _:
            told = optional_number(delta, "usdc") or optional_number(delta, "amount") or 0.0
            return {EntryKind.TRANSFER if kind in EARNED else EntryKind.OTHER: told}


def _sent(kind: str, delta: Row, address: str, *, pooled: bool) -> Mapping[EntryKind, float]:
    """Counted where it crosses the border of what is read: the account of perpetuals, and in pooled modes spot."""
    default = SPOT_DEX if kind == "spotTransfer" else ""
    came = _is_inside(delta, "destination", "destinationDex", address, default, pooled=pooled)
    went = _is_inside(delta, "user", "sourceDex", address, default, pooled=pooled)
    amount = number(delta, "usdc" if "usdc" in delta else "amount")
    of_token = word(delta, "feeToken") in ("", word(delta, "token"))
    fee = _fee(delta) if went and of_token else 0.0
    return {EntryKind.TRANSFER: (came - went) * amount, EntryKind.FEE: -fee}


def _is_inside(delta: Row, who: str, where: str, address: str, default: str, *, pooled: bool) -> bool:
    dex = delta.get(where, default)
    if not isinstance(dex, str):
        raise malformed(f"{where}: expected text")
    return text(delta, who).lower() == address and (pooled or dex != SPOT_DEX)


def _fee(delta: Row) -> float:
    return optional_number(delta, "fee") or 0.0


def _of_vault(delta: Row, address: str) -> int:
    """The vault itself gets what others give."""
    return -1 if text(delta, "vault").lower() == address else 1

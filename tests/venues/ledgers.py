"""What a venue's bookings are held against: everything that the engine knows to have moved an account's cash."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from monitor.domain.ledger import EntryKind, Ledger
from monitor.exchange.registry import venue_of
from monitor.exchange.source import AccountSource
from monitor.paper.bookings import Booking, bookings
from monitor.paper.engine import Engine

# By kind, currency and symbol.
Sums = dict[tuple[EntryKind, str, str | None], float]


def stir(engine: Engine, account: str) -> None:
    """A day of an account: money comes and goes, funding is paid, half of its first position is closed."""
    engine.deposit(account, next(iter(engine.account(account).wallets)), 1.5)
    engine.advance(engine.now + timedelta(hours=9))
    legs = list(engine.account(account).legs.values())
    if legs:
        engine.close(account, legs[0].contract.symbol, legs[0].side, legs[0].contracts / 2)
    asset = next(iter(engine.account(account).wallets))
    engine.withdraw(account, asset, 0.25)
    engine.advance(engine.now + timedelta(hours=16))


async def read(source: AccountSource, since: datetime) -> Ledger:
    """As the source would; after a good read. Raises ReadError."""
    instruments = await source._market.instruments()
    return await venue_of(source.venue_id).read_ledger(source._client, instruments, source._settings, since)


def assert_told(
    ledger: Ledger,
    engine: Engine,
    account: str,
    tells: Callable[[Booking], bool] = lambda _booking: True,
    *,
    without_symbol: frozenset[EntryKind] = frozenset({EntryKind.TRANSFER}),
) -> None:
    """The ledger's sums are the engine's, of what this account's venue tells, to eight decimals a booking."""
    due: Sums = {}
    for booking in bookings(engine, account):
        if ledger.since < booking.time <= ledger.until and tells(booking) and booking.kind not in ledger.untold:
            symbol = None if booking.kind in without_symbol else _symbol(engine, booking.symbol)
            key = (booking.kind, booking.asset, symbol)
            due[key] = due.get(key, 0.0) + booking.amount
    told: Sums = {}
    for entry in ledger.entries:
        key = (entry.kind, entry.currency, entry.symbol)
        told[key] = told.get(key, 0.0) + entry.amount
    kept = {key: amount for key, amount in told.items() if abs(amount) > 1e-9}
    assert kept == {key: pytest.approx(amount, abs=1e-6) for key, amount in due.items() if abs(amount) > 1e-9}


def _symbol(engine: Engine, raw: str | None) -> str | None:
    if raw is None:
        return None
    contract = engine.market(raw).contract
    return f"{contract.base}/{contract.quote}:{contract.settle}"

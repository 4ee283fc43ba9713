"""Contracts as every reader makes and finds them, and what is the same of all positions in them."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from monitor.domain.account import End, FailureKind, Instrument, PriceOrigin
from monitor.exchange.failures import ReadError, UnknownSymbolError
from monitor.exchange.values import Row, is_absurd, malformed, optional_number, text
from monitor.exchange.venues.venue import Instruments


def a_contract(venue: str, coins: Sequence[str], size: float, *, inverse: bool, dated: str = "") -> Instrument:
    """`coins` are base, quote and settle by ccxt's names; `dated` is what ccxt puts behind a symbol that expires."""
    base, quote, settle = coins
    return Instrument(
        venue=venue,
        symbol=f"{base}/{quote}:{settle}{dated}",
        base=base,
        quote=quote,
        settle=settle,
        contract_size=size,
        inverse=inverse,
    )


def instrument_of(row: Row, instruments: Instruments, key: str = "symbol") -> Instrument:
    """Of the raw symbol under that key; raises UnknownSymbolError where the venue lists no such contract."""
    raw = text(row, key)
    instrument = instruments.get(raw)
    if instrument is None:
        raise UnknownSymbolError(raw)
    return instrument


def refuse_other(row: Row, key: str, raw: str) -> None:
    """Raises ReadError (malformed) where a reply about one contract is of another."""
    if text(row, key) != raw:
        raise malformed(f"asked for {raw}, told of {row[key]:.40}")


def ends_in(listed: Iterable[Row], read: Callable[[Row], End | None]) -> list[End]:
    """Those that rows of a venue's records tell; one in a contract that is listed no more keeps no other untold."""
    found: list[End] = []
    for row in listed:
        with suppress(UnknownSymbolError):
            end = read(row)
            found += [] if end is None else [end]
    return found


def check_notional(instrument: Instrument, contracts: float, mark_price: float, notional: float) -> float:
    """The venue's own notional; it must be what contract size and mark make of the contracts, within a hundredth."""
    ours = instrument.notional(contracts, mark_price)
    if abs(notional - ours) > 0.01 * ours + 1e-6:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{instrument.symbol}: {contracts:g} contracts at {mark_price:g} are {ours:g}, the venue says {notional:g}",
        )
    return notional


def known_price(row: Row, key: str, mark_price: float) -> tuple[float | None, PriceOrigin]:
    """A liquidation price of a venue that nowhere says how it writes "none": 0, absurd and untold ones are unknown."""
    price = optional_number(row, key)
    if price is None or is_absurd(price, mark_price):
        return None, PriceOrigin.UNKNOWN
    return price, PriceOrigin.VENUE

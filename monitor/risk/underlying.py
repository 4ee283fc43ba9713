"""What a contract is on: contracts of one coin by different names, units, margins and venues stand together."""

import re
from dataclasses import dataclass
from functools import cache

from monitor.domain.account import AccountSnapshot, Instrument, Position
from monitor.domain.market import Markets
from monitor.risk.worth import notional_of

# 1000PEPE, 10000SATS, 1MBABYDOGE; SHIB1000.
_COUNTED = re.compile(r"(?P<count>10{3,9}|1M)(?P<coin>[A-Z].*)|(?P<name>[A-Z]+)(?P<times>10{3,9})")
# Hyperliquid's kPEPE, as ccxt spells it; KAVA and KSM are coins.
_THOUSANDS = frozenset({"KBONK", "KDOGS", "KFLOKI", "KLUNC", "KNEIRO", "KPEPE", "KSHIB"})


@dataclass(frozen=True, slots=True)
class Underlying:
    """The coin, and how many of it one base unit of the contract is."""

    name: str
    multiplier: float


def underlying_of(instrument: Instrument) -> Underlying:
    return _underlying(instrument.base)


@cache
def _underlying(base: str) -> Underlying:
    if base in _THOUSANDS:
        return Underlying(base[1:], 1_000.0)
    match = _COUNTED.fullmatch(base)
    if match is None:
        return Underlying(base, 1.0)
    count = match["count"] or match["times"]
    return Underlying(match["coin"] or match["name"], 1e6 if count == "1M" else float(count))


def coins_of(position: Position) -> float:
    """Its size in coins of the underlying, above 0 for a long."""
    return position.side.sign * position.size * underlying_of(position.instrument).multiplier


def delta_of(position: Position) -> float:
    """How many coins it is worth to be exposed to: linear its size, inverse what its size was at the entry price.

    An inverse contract of N dollars is N / mark coins, and its PnL of N * (1 / entry - 1 / mark) is held in coins as
    well: together N / entry, at any mark. At the mark where no entry price is told.
    """
    coins = coins_of(position)
    if not position.instrument.inverse or not position.entry_price:
        return coins
    return coins * position.mark_price / position.entry_price


@dataclass(frozen=True, slots=True)
class Held:
    """One position of an account; `notional` in dollars, below 0 of a short."""

    account: str
    underlying: str
    position: Position
    notional: float


def held_in(snapshot: AccountSnapshot, markets: Markets) -> tuple[Held, ...]:
    """Raises UnknownWorthError."""
    return tuple(
        Held(
            snapshot.account,
            underlying_of(position.instrument).name,
            position,
            notional_of(position, snapshot, markets),
        )
        for position in snapshot.positions
    )

"""What a contract is on: contracts of one coin by different names, units, margins and venues stand together."""

import re
from dataclasses import dataclass
from functools import cache

from monitor.domain.account import Instrument, Position

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

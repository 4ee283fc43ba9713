"""Maintenance margin by brackets.

Source: Binance "Leverage and Margin of USDⓈ-M Futures": maintenance = notional * rate - maintenance amount, of the
bracket the notional falls in. Progressive venues, summing slice by slice, give the same figure.
"""

from dataclasses import dataclass

from monitor.domain.account import Position
from monitor.domain.market import Tier, Tiers


@dataclass(frozen=True, slots=True)
class InitialMargin:
    """What a position stakes in settle units, above 0; `basis` says what it is made of where it is our estimate."""

    amount: float
    basis: str | None = None


def initial_margin_of(position: Position) -> InitialMargin | None:
    """The venue's own figure, else notional / leverage; None where neither is told.

    Readers refuse a reply that lacks what the venue tells, so None is a venue, or a mode of it, that tells none. A
    hedge for which a venue asks no margin is at stake all the same.
    """
    if position.initial_margin:
        basis = next((e.basis for e in position.estimates if e.figure == "initial_margin"), None)
        return InitialMargin(position.initial_margin, basis)
    if position.leverage:
        return InitialMargin(position.notional / position.leverage, "notional / leverage")
    return None


def tier_of(tiers: Tiers, notional: float) -> Tier:
    """The bracket a notional (settle units) falls in; beyond the last cap the last one stays in force."""
    assert tiers, "a bracket list is never empty"
    for tier in tiers:
        if notional <= tier.cap:
            return tier
    return tiers[-1]


def maintenance(tiers: Tiers, notional: float) -> float:
    """Maintenance margin in settle units."""
    return tier_of(tiers, notional).maintenance(notional)


def maintenance_at(position: Position, contracts: float, mark: float, tiers: Tiers | None) -> float | None:
    """The position's maintenance margin with that many contracts at that mark.

    Without brackets the position's present rate is kept, which understates it where a growing notional would reach
    the next bracket. None where neither brackets nor the venue's own figure are known.
    """
    notional = position.instrument.notional(contracts, mark)
    if tiers:
        return maintenance(tiers, notional)
    if position.maintenance_margin is None or position.notional == 0:
        return None
    return position.maintenance_margin * notional / position.notional

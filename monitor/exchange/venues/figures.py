"""Which figures a venue's reader gives, how exactly, and where their meaning is known from.

One declaration per venue: the readers' tests hold it against what they read, and `perpwatch venues` prints it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Figure(StrEnum):
    """By the names of the domain's fields where there is one."""

    EQUITY = "equity"
    POOL_MAINTENANCE = "pool_maintenance_margin"
    POOL_INITIAL = "pool_initial_margin"
    AVAILABLE = "available"
    VENUE_RATIO = "venue_margin_ratio"
    MARK_PRICE = "mark_price"
    NOTIONAL = "notional"
    ENTRY_PRICE = "entry_price"
    LIQUIDATION_PRICE = "liquidation_price"
    LEVERAGE = "leverage"
    MARGIN_MODE = "margin_mode"
    MAINTENANCE = "maintenance_margin"
    INITIAL = "initial_margin"
    PNL = "unrealized_pnl"
    ADL_RANK = "adl_rank"
    FUNDING_RATE = "funding_rate"
    FUNDING_INTERVAL = "funding_interval"
    NEXT_FUNDING = "next_funding"
    BRACKETS = "brackets"
    COLLATERAL = "collateral_prices"
    STOP_ORDERS = "stop_orders"
    KEY_PERMISSIONS = "key_permissions"
    ENDS = "liquidations_and_adl"


class Exactness(StrEnum):
    EXACT = "exact"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class VerifiedBy(StrEnum):
    """What a figure's meaning is known from; a dialect of ours proves nothing by itself."""

    RECORDED = "recorded reply"
    DOCUMENTS = "the venue's documents"
    CCXT = "ccxt's parser"
    NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Told:
    """How a figure is told. `source` names reply and field, or what an estimate is made of, or why it is unknown."""

    exactness: Exactness
    source: str
    verified_by: VerifiedBy = VerifiedBy.NOTHING


Figures = Mapping[Figure, Told]


def exact(source: str, verified_by: VerifiedBy) -> Told:
    return Told(Exactness.EXACT, source, verified_by)


def estimated(basis: str, verified_by: VerifiedBy = VerifiedBy.NOTHING) -> Told:
    return Told(Exactness.ESTIMATED, basis, verified_by)


def unknown(why: str) -> Told:
    return Told(Exactness.UNKNOWN, why)

"""One account as one read saw it: instruments, positions, margin pools, and how a read fails.

Every type is frozen. `None` means unknown, never zero. Times are aware and in UTC; floats are finite, because the
border (exchange/) refuses anything else.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from monitor.domain.ledger import Ledger


class Side(StrEnum):
    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 for a long, -1 for a short."""
        return 1 if self is Side.LONG else -1


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class PriceOrigin(StrEnum):
    """Where a figure comes from: the venue's own, our own estimate, known not to exist, or not known at all."""

    VENUE = "venue"
    OWN_ESTIMATE = "own_estimate"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A perpetual contract. `contract_size` is base units a contract (linear) or quote units a contract (inverse)."""

    venue: str
    symbol: str
    base: str
    quote: str
    settle: str
    contract_size: float
    inverse: bool

    def size(self, contracts: float, mark_price: float) -> float:
        """That many contracts in base units."""
        units = abs(contracts) * self.contract_size
        return units / mark_price if self.inverse else units

    def contracts(self, size: float, price: float) -> float:
        """That many base units at that price in contracts."""
        return size * (price if self.inverse else 1.0) / self.contract_size

    def notional(self, contracts: float, mark_price: float) -> float:
        """Worth in settle units of that many contracts at that mark."""
        units = abs(contracts) * self.contract_size
        return units / mark_price if self.inverse else units * mark_price

    def pnl(self, side: Side, contracts: float, from_price: float, to_price: float) -> float:
        """Gain in settle units when the price goes from one to the other: linear s*(b-a), inverse s*(1/a-1/b)."""
        units = side.sign * abs(contracts) * self.contract_size
        return units * (1 / from_price - 1 / to_price) if self.inverse else units * (to_price - from_price)

    def isolated_pool(self, side: Side) -> str:
        """The name of an isolated position's margin pool."""
        return isolated_pool_of(f"{self.symbol} {side}")


def isolated_pool_of(subject: str) -> str:
    """The name of the margin pool of an isolated position, by that of the position."""
    symbol, _, side = subject.rpartition(" ")
    return f"isolated:{symbol}:{side}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure that is ours, where the venue tells none: the field's name, and what it was made of."""

    figure: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One open position. Margins, notional and PnL are in settle units; prices in quote units.

    `adl_rank` is 1 to 5, and 5 is deleveraged first. `pool_rate` is what one settle unit counts in the currency of the
    pool: 1 but in pools of several coins.
    """

    instrument: Instrument
    side: Side
    pool: str
    contracts: float
    size: float
    notional: float
    mark_price: float
    entry_price: float | None = None
    liquidation_price: float | None = None
    liquidation_price_origin: PriceOrigin = PriceOrigin.UNKNOWN
    leverage: float | None = None
    margin_mode: MarginMode | None = None
    initial_margin: float | None = None
    maintenance_margin: float | None = None
    unrealized_pnl: float | None = None
    adl_rank: int | None = None
    pool_rate: float = 1.0
    estimates: tuple[Estimate, ...] = ()

    @property
    def units(self) -> float:
        """What is held, in what its contracts are written in: base units of a linear one, quote units of an inverse."""
        return self.contracts * self.instrument.contract_size

    @property
    def subject(self) -> str:
        """How an alert names this position: `BTC/USDT:USDT long`."""
        return f"{self.instrument.symbol} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBalance:
    """One margin pool: what is liquidated together. All amounts in `currency`.

    `venue_margin_ratio` is the venue's own figure turned to our direction: 1.0 is liquidation.
    """

    pool: str
    currency: str
    equity: float | None
    maintenance_margin: float | None
    available: float | None = None
    initial_margin: float | None = None
    venue_margin_ratio: float | None = None
    estimates: tuple[Estimate, ...] = ()

    @property
    def margin_ratio(self) -> float | None:
        """Maintenance margin / equity; 1.0 is liquidation. None where unknown, and where `under_water`."""
        if self.maintenance_margin is None or self.equity is None:
            return None
        if self.maintenance_margin == 0 and self.equity >= 0:
            return 0.0
        return self.maintenance_margin / self.equity if self.equity > 0 else None

    @property
    def under_water(self) -> bool:
        """Equity is gone while maintenance is owed: no ratio describes it, and it is critical."""
        return bool(self.maintenance_margin) and self.equity is not None and self.equity <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A coin that an account is margined in, with what the venue says that one of it is worth in US dollars.

    `amount` is below 0 where it is owed, None where the venue tells it elsewhere only. `haircut` is the share of the
    price that does not count as margin.
    """

    coin: str
    price: float
    amount: float | None = None
    haircut: float | None = None


class OrderKind(StrEnum):
    STOP = "stop"
    TAKE_PROFIT = "take-profit"
    TRAILING = "trailing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """A conditional order resting at the venue; `size` in base units, None where it closes the whole position.

    `side` is that of the position it would reduce or close. `size` of an inverse contract is counted at the trigger
    price. A trailing stop's `trigger_price` is where it begins to trail, or where it stands now, as the venue tells it.
    """

    instrument: Instrument
    side: Side
    kind: OrderKind
    trigger_price: float | None
    callback_rate: float | None
    size: float | None
    reduce_only: bool


class EndKind(StrEnum):
    LIQUIDATED = "liquidated"
    DELEVERAGED = "auto-deleveraged"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The venue took a position or a part of it, by its own records. `contracts` and `price` where it tells them."""

    instrument: Instrument
    side: Side
    kind: EndKind
    at: datetime
    contracts: float | None = None
    price: float | None = None

    @property
    def subject(self) -> str:
        """The position's, as alerts name it."""
        return f"{self.instrument.symbol} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """A good read. `caveats` say what is not vouched for.

    `orders` rested at the venue at `orders_at`; they are None where no rule needs them, where the venue never tells
    them, and where they could not be read, of which `orders_failure` says why; `orders_pending` where the
    venue was asked a moment ago.
    `ends` are what the venue took as its records told last, in any order: `risk.holdings.untold` knows which are news.
    `ends_owed_since` is from when on its records were asked for and are not told. `mode` is how the account is set up
    at the venue, in its words; empty where the venue knows one mode only.
    `collateral` are coins with prices of the venue's own; none of those of which it tells no price.
    `ledger` is what the venue booked of late; None where no rule needs it, and where it was never read, of which
    `ledger_failure` says why.
    """

    account: str
    venue: str
    observed_at: datetime
    margins: tuple[MarginBalance, ...]
    positions: tuple[Position, ...]
    collateral: tuple[Collateral, ...] = ()
    orders: tuple[StopOrder, ...] | None = None
    orders_at: datetime | None = None
    orders_failure: str | None = None
    orders_pending: bool = False
    ledger: Ledger | None = None
    ledger_failure: str | None = None
    ends: tuple[End, ...] = ()
    ends_owed_since: datetime | None = None
    mode: str = ""
    caveats: tuple[str, ...] = ()

    def margin(self, pool: str) -> MarginBalance | None:
        return next((m for m in self.margins if m.pool == pool), None)

    def positions_in(self, pool: str) -> tuple[Position, ...]:
        return tuple(p for p in self.positions if p.pool == pool)


class FailureKind(StrEnum):
    """Why a read gave nothing to judge by."""

    AUTH = "auth"
    PERMISSION = "permission"
    REGION = "region"
    CLOCK = "clock"
    RATE_LIMIT = "rate_limit"
    BANNED = "banned"
    MAINTENANCE = "maintenance"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    IMPLAUSIBLE = "implausible"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailure:
    """A read that failed: a value, not an exception. `detail` is redacted; no retry makes sense before `retry_at`."""

    account: str
    venue: str
    observed_at: datetime
    kind: FailureKind
    detail: str
    retry_at: datetime | None = None


Observation = AccountSnapshot | PollFailure

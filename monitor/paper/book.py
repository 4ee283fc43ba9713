"""The exchange's books: accounts, their legs, what it tells of them, and when a pool of legs is liquidated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from monitor.domain.account import MarginMode, Side
from monitor.paper.contract import Contract


class EventKind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    OPEN = "open"
    CLOSE = "close"
    ADL = "adl"
    FUNDING = "funding"
    PARTIAL = "partial"
    FULL = "full"
    INSURANCE = "insurance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `amount` is the cash it brought the account, in `asset`: an account's events add up
    to its wallets. `contracts` is how many were opened, closed or charged for.
    """

    sequence: int
    time: datetime
    account: str
    kind: EventKind
    asset: str
    amount: float
    symbol: str | None = None
    side: Side | None = None
    contracts: float | None = None
    price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTruth:
    """What the exchange holds to be true of one position; `liquidation_price` is None where no price liquidates it."""

    account: str
    symbol: str
    side: Side
    pool: str
    contracts: float
    entry_price: float
    mark_price: float
    notional: float
    maintenance_margin: float
    initial_margin: float
    unrealized_pnl: float
    liquidation_price: float | None
    leverage: float
    margin_mode: MarginMode
    isolated_wallet: float | None
    adl_quantile: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTruth:
    """What is liquidated together: `cross:USDT` or `isolated:BTCUSDT:long`. Liquidatable: maintenance >= equity."""

    account: str
    pool: str
    asset: str
    wallet: float
    unrealized_pnl: float
    equity: float
    initial_margin: float
    maintenance_margin: float


@dataclass(slots=True)
class Leg:
    """One side of one contract in one account. `isolated_wallet` is None where the leg is margined across."""

    contract: Contract
    side: Side
    contracts: float
    entry_price: float
    leverage: float
    isolated_wallet: float | None
    updated_at: datetime

    @property
    def pool(self) -> str:
        if self.isolated_wallet is None:
            return f"cross:{self.contract.settle}"
        return f"isolated:{self.contract.symbol}:{self.side}"

    def gain(self, mark: float) -> float:
        return self.contract.gain(self.side.sign * self.contracts, self.entry_price, mark)

    def notional(self, mark: float) -> float:
        return self.contract.notional(self.contracts, mark)

    def maintenance(self, mark: float) -> float:
        return self.contract.maintenance(self.notional(mark))

    def adl_quantile(self, mark: float) -> int:
        """0 to 4, rising with the return on margin: a stand-in for the venues' queue, which ranks all their users."""
        return_on_margin = self.gain(mark) / (self.notional(mark) / self.leverage)
        return sum(return_on_margin > bound for bound in (0.0, 0.25, 0.75, 1.5))


@dataclass(slots=True)
class Account:
    """One account's credentials, wallets by asset (isolated margin lies in its leg, not here) and legs."""

    name: str
    api_key: str
    secret: str
    hedge_mode: bool
    wallets: dict[str, float] = field(default_factory=dict)
    legs: dict[tuple[str, Side], Leg] = field(default_factory=dict)

    def in_pool(self, pool: str) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.pool == pool]

    def pool_wallet(self, pool: str) -> float:
        """Cash that stands behind a pool."""
        kind, _, rest = pool.partition(":")
        if kind == "cross":
            return self.wallets.get(rest, 0.0)
        return sum(leg.isolated_wallet or 0.0 for leg in self.in_pool(pool))


def liquidatable(equity: float, maintenance: float) -> bool:
    """The one decision everything else asks: a pool is liquidated when its maintenance reaches its equity."""
    return maintenance > 0 and maintenance >= equity


def pool_margin(wallet: float, legs: Iterable[Leg], marks: Mapping[str, float]) -> tuple[float, float]:
    """(equity, maintenance) of a pool at those marks."""
    equity, maintenance = wallet, 0.0
    for leg in legs:
        mark = marks[leg.contract.symbol]
        equity += leg.gain(mark)
        maintenance += leg.maintenance(mark)
    return equity, maintenance

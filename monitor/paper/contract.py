"""Contracts of the paper exchange and the arithmetic of one holding at one mark.

Written for the exchange alone and shared with nobody: it is what the monitor's own figures are checked against.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple


class Bracket(NamedTuple):
    """One maintenance bracket over notional in settle units: maintenance = notional * rate - amount."""

    floor: float
    cap: float
    rate: float
    max_leverage: float
    amount: float


def brackets_of(rows: Iterable[Sequence[float]]) -> tuple[Bracket, ...]:
    """Rows of (floor, cap, rate, max_leverage, amount), as the venues publish them, lowest first."""
    return tuple(Bracket(*map(float, row)) for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A perpetual. `contract_size` is base units a contract (linear) or quote units a contract (inverse).

    Notional, margins and PnL are in `settle` units. `step` is the smallest change of a holding (0: any), `tick`
    the smallest change of a price. Fee rates are fractions of notional.
    """

    symbol: str
    base: str
    quote: str
    settle: str
    brackets: tuple[Bracket, ...]
    contract_size: float = 1.0
    inverse: bool = False
    funding_rate: float = 0.0
    funding_interval: timedelta = timedelta(hours=8)
    step: float = 0.0
    tick: float = 0.01
    fee_rate: float = 0.0
    liquidation_fee_rate: float = 0.0

    def __post_init__(self) -> None:
        if not self.brackets or self.brackets[0].floor != 0:
            raise ValueError(f"{self.symbol}: brackets must start at 0")
        floors = [bracket.floor for bracket in self.brackets]
        if floors != sorted(floors):
            raise ValueError(f"{self.symbol}: brackets must rise")
        if self.contract_size <= 0 or self.funding_interval <= timedelta(0):
            raise ValueError(f"{self.symbol}: contract size and funding interval must be above 0")

    def notional(self, contracts: float, price: float) -> float:
        """Worth of that many contracts at that price."""
        return contracts * self.contract_size / price if self.inverse else contracts * self.contract_size * price

    def contracts(self, notional: float, price: float) -> float:
        """How many contracts are worth that much, rounded down to the step."""
        each = self.contract_size / price if self.inverse else self.contract_size * price
        exact = notional / each
        # The nudge keeps 3 x 0.1 from counting as two steps.
        return round(int(exact / self.step + 1e-9) * self.step, 12) if self.step else exact

    def gain(self, signed_contracts: float, bought_at: float, price: float) -> float:
        """Profit of a holding (below 0 for a short) entered at one price and valued at another."""
        if self.inverse:
            return signed_contracts * self.contract_size * (1 / bought_at - 1 / price)
        return signed_contracts * self.contract_size * (price - bought_at)

    def average(self, held: float, held_at: float, added: float, added_at: float) -> float:
        """Entry price of two lots of one side taken together: arithmetic in quote, harmonic in coin."""
        if self.inverse:
            return (held + added) / (held / held_at + added / added_at)
        return (held * held_at + added * added_at) / (held + added)

    def bracket(self, notional: float) -> Bracket:
        """The bracket a notional falls in; the last one where it is beyond them all."""
        for bracket in self.brackets:
            if notional < bracket.cap:
                return bracket
        return self.brackets[-1]

    def maintenance(self, notional: float) -> float:
        bracket = self.bracket(notional)
        return max(0.0, notional * bracket.rate - bracket.amount)

"""position_size: how much of an account one trade stakes."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading
from monitor.risk.margin import InitialMargin, initial_margin_of
from monitor.risk.worth import UnknownWorthError, Worth
from monitor.rules.base import CHOSEN_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold


class PositionSize(ThresholdRule):
    """Initial margin of one position / equity of the whole account, in dollars: what one trade stakes.

    Initial margin is notional / leverage as the venue counts it: a higher leverage binds less for the same danger,
    which the leverage rule sees. Where the venue tells neither margin nor leverage of a position (margined as a
    portfolio) there is no reading.
    """

    kind: Literal["position_size"] = "position_size"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "a trade that stakes a tenth can be wrong ten times; one that stakes half only twice"
    formula: ClassVar[str] = "initial margin / equity"
    min_repeat_s: ClassVar[float] = CHOSEN_REPEAT_S

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        told = [(position, initial_margin_of(position)) for position in self.positions_in(context.snapshot)]
        staked = [(position, margin) for position, margin in told if margin is not None]
        try:
            worth = context.worth
        except UnknownWorthError as unknown:
            why = {"why": str(unknown)}
            return tuple(self.of_position(name, context, position, None, why) for position, _ in staked)
        return tuple(self._judge(name, position, margin, worth, context) for position, margin in staked)

    def _judge(self, name: str, position: Position, margin: InitialMargin, worth: Worth, context: Context) -> Reading:
        staked = margin.amount * abs(worth.notionals[position.subject]) / position.notional
        inputs = {
            "initial_margin": staked,
            "initial_margin_basis": margin.basis,
            "equity": worth.equity,
            "currency": "USD",
            "leverage": position.leverage,
            "base": position.instrument.base,
        }
        # Equity that is gone is past any share.
        value = staked / worth.equity if worth.equity > 0 else None
        levels = self.all_breached() if value is None else None
        reading = self.of_position(name, context, position, value, inputs, levels)
        return self.with_remedy(reading, lambda: self._remedy(position, staked, worth.equity))

    def _remedy(self, position: Position, staked: float, equity: float) -> dict[str, Any]:
        """Exact: what is staked is linear in size, and closing at the mark leaves the equity as it is."""
        found: dict[str, Any] = {"add_collateral": staked / self.goal - equity}
        if equity > 0:
            share = 1 - self.goal * equity / staked
            found |= {"cut_share": share, "cut_size": position.size * share}
        return found

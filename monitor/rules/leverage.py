"""leverage: how many times its equity an account holds."""

from typing import ClassVar, Literal

from monitor.domain.reading import Reading, Unit
from monitor.risk.worth import UnknownWorthError
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import LeverageThreshold


class Leverage(ThresholdRule):
    """Notional of all positions / equity of the whole account, in dollars; both sides of a hedge count.

    What counts is what is used, not what is set. A filter narrows the positions, never the equity.
    """

    kind: Literal["leverage"] = "leverage"
    warning: LeverageThreshold | None = None
    critical: LeverageThreshold | None = None

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    unit: ClassVar[Unit] = Unit.LEVERAGE
    why: ClassVar[str] = "at 10x a move of 10 % takes everything; a cap keeps such moves rare"
    formula: ClassVar[str] = "notional / equity"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        positions = [position for position in snapshot.positions if self.where.matches_position(position)]
        if not self.where.matches_account(snapshot.account, snapshot.venue) or (snapshot.positions and not positions):
            return ()
        try:
            worth = context.worth
        except UnknownWorthError as unknown:
            return (self.of_account(name, context, None, {"why": str(unknown)}),)
        gross, equity = sum(abs(worth.notionals[position.subject]) for position in positions), worth.equity
        # Equity that is gone is past any leverage.
        value = 0.0 if gross == 0 else gross / equity if equity > 0 else None
        inputs = {"notional": gross, "equity": equity, "currency": "USD", "positions": len(positions)}
        levels = self.all_breached() if value is None else None
        reading = self.of_account(name, context, value, inputs, levels)
        return (self.with_remedy(reading, lambda: self.remedy_of_equity(gross, equity)),)

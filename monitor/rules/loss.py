"""loss: how much of what a trade staked it has lost."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading
from monitor.risk.margin import InitialMargin, initial_margin_of
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold

_BY_PRICES = "entry price and mark"


class Loss(ThresholdRule):
    """Unrealised loss of a position / its initial margin; a gain counts as no loss.

    With a leverage of 5x the price has moved a fifth of that share. What was realised before is not counted, nor what
    the other side of a hedge has gained meanwhile. Where the venue tells neither the position's margin nor a leverage
    there is no reading.
    """

    kind: Literal["loss"] = "loss"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "a small loss is a decision, a large one a hope: it is told while there is something to decide"
    formula: ClassVar[str] = "loss / initial margin"
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        found = []
        for position in self.positions_in(context.snapshot):
            margin, (pnl, basis) = initial_margin_of(position), _pnl(position)
            if margin is not None and pnl is not None:
                found.append(self._judge(name, position, max(0.0, -pnl), basis, margin, context))
        return tuple(found)

    def _judge(
        self, name: str, position: Position, loss: float, basis: str | None, margin: InitialMargin, context: Context
    ) -> Reading:
        inputs: dict[str, Any] = {
            "loss": loss,
            "loss_basis": basis,
            "initial_margin": margin.amount,
            "initial_margin_basis": margin.basis,
            "entry_price": position.entry_price,
            "mark_price": position.mark_price,
            "currency": position.instrument.settle,
            "advice": "close or reduce it, or set the stop that you accept: adding margin makes no loss smaller",
        }
        return self.of_position(name, context, position, loss / margin.amount, inputs)


def _pnl(position: Position) -> tuple[float | None, str | None]:
    """What the venue tells, or else what the prices say, with that named."""
    if position.unrealized_pnl is not None or position.entry_price is None:
        return position.unrealized_pnl, None
    instrument = position.instrument
    return instrument.pnl(position.side, position.contracts, position.entry_price, position.mark_price), _BY_PRICES

"""adl_rank: how soon the venue would close a position to pay for the losses of others."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Level, Reading, Unit
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Rank


class AdlRank(ThresholdRule):
    """The venue's rank in its queue for auto-deleveraging, 1 to 5; where its insurance fund cannot pay, 5 goes first.

    Profit and leverage raise it, so that winners are taken, and hedges with them. A position whose underlying is held
    on the other side as well is critical at the warning's rank already, since that side would stand alone. Where the
    venue tells no rank there is no reading.
    """

    kind: Literal["adl_rank"] = "adl_rank"
    warning: Rank | None = None
    critical: Rank | None = None

    unit: ClassVar[Unit] = Unit.RANK
    why: ClassVar[str] = "in a crash the venue closes winners at its price; a hedge is gone when it is needed most"
    formula: ClassVar[str] = "the rank that the venue tells, of 5"
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        ranked = [(position, position.adl_rank) for position in self.positions_in(context.snapshot)]
        return tuple(self._judge(name, position, rank, context) for position, rank in ranked if rank is not None)

    def _judge(self, name: str, position: Position, rank: int, context: Context) -> Reading:
        other_side = _other_side(position, context)
        inputs: dict[str, Any] = {
            "notional": position.notional,
            "unrealized_pnl": position.unrealized_pnl,
            "leverage": position.leverage,
            "currency": position.instrument.settle,
            "other_side": other_side.subject if other_side else None,
            "advice": "take a part of the profit or lower the leverage, which lowers the rank"
            + (f"; be ready to close {other_side.subject}" if other_side else ""),
        }
        levels = self._levels_of_a_hedge(rank) if other_side else None
        return self.of_position(name, context, position, float(rank), inputs, levels)

    def _levels_of_a_hedge(self, rank: int) -> tuple[Level, ...]:
        """Critical from the lower of both thresholds on."""
        lowest = self._thresholds[0][1]
        return tuple(Level(severity, self._verdict(rank, lowest), lowest) for severity, _ in self._thresholds)


def _other_side(position: Position, context: Context) -> Position | None:
    """The largest position of the account on the other side of the same underlying."""
    base, side = position.instrument.base, position.side
    others = [p for p in context.snapshot.positions if p.instrument.base == base and p.side is not side]
    return max(others, key=lambda other: other.size, default=None)

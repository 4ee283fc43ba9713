"""trailing_stop: how far a position has fallen back from its best mark."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold


class TrailingStop(ThresholdRule):
    """Retreat of the mark from the best mark since watching the position began, as a share of that best mark.

    A stop watched by perpwatch: it tells, it never closes anything. The best mark is kept while the position grows or
    shrinks, and over restarts; a position that closed or flipped begins anew. One that was closed and opened again
    between two reads looks held: its best mark stays, so that its stop is stricter and never later. A distance in ATR
    (`2 ATR`) is not accepted yet: give percent.
    """

    kind: Literal["trailing_stop"] = "trailing_stop"
    warning: Threshold | None = None
    critical: Threshold | None = None

    min_repeat_s: ClassVar[float] = 3600.0
    why: ClassVar[str] = "a gain that is not protected goes back to the market, and a small loss grows into a large one"
    formula: ClassVar[str] = "side * (best mark - mark) / best mark"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        return tuple(self._judge(name, position, context) for position in self.positions_in(context.snapshot))

    def _judge(self, name: str, position: Position, context: Context) -> Reading:
        track = context.track.of(position) if context.track is not None else None
        inputs: dict[str, Any] = {"mark_price": position.mark_price, "entry_price": position.entry_price}
        value = None
        if track is None:
            inputs["why"] = "no best mark is remembered of this position"
        else:
            value = position.side.sign * (track.best_mark - position.mark_price) / track.best_mark
            inputs |= {
                "best_mark": track.best_mark,
                "best_at": track.best_at.isoformat(),
                "watched_since": track.since.isoformat(),
            }
        reading = self.of_position(name, context, position, value, inputs)
        return self.with_remedy(reading, lambda: _advice(position, reading))


def _advice(position: Position, reading: Reading) -> dict[str, Any]:
    """Less of the position retreats as far, and so does one with more collateral: what is left is to get out."""
    stop = float(str(reading.inputs["best_mark"])) * (1 - position.side.sign * (reading.threshold or 0.0))
    return {"stop_price": stop, "advice": "close it, or write down why it is still worth holding"}

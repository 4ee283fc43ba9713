"""trailing_stop: how far a position has fallen back from its best mark."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Need, Reading
from monitor.domain.study import NoStudy
from monitor.domain.track import PositionTrack
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Atrs, Retreat

# Of the price. What is hardly traded moves less than its mark does.
LEAST_ATR = 0.005


class TrailingStop(ThresholdRule):
    """Retreat of the mark from the best mark since watching the position began, as a share of that best mark.

    A stop watched by perpwatch: it tells, it never closes anything. The best mark is kept while the position grows or
    shrinks, and over restarts; a position that closed or flipped begins anew. One that was closed and opened again
    between two reads looks held: its best mark stays, so that its stop is stricter and never later.

    Thresholds are shares (`5%`), or average true ranges of the last 14 whole days (`2 ATR`): what an ordinary day moves
    either way, so that a stop is no closer than noise. Today's range does not count: a stop that gave way while the
    price falls would be none. A range is 0.5 % of the price at least.
    """

    kind: Literal["trailing_stop"] = "trailing_stop"
    warning: Retreat | None = None
    critical: Retreat | None = None

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    why: ClassVar[str] = "a gain that is not protected goes back to the market, and a small loss grows into a large one"
    formula: ClassVar[str] = "(best mark - mark price) / best mark, of a short the negative"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES} if self._in_atr else ())

    @property
    def _in_atr(self) -> bool:
        return isinstance(self._thresholds[0][1], Atrs)

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        """In ATR, of a venue that never tells candles, none at all: an alert about that would have no end."""
        readings = (self._of(name, position, context) for position in self.positions_in(context.snapshot))
        return tuple(reading for reading in readings if reading is not None)

    def _of(self, name: str, position: Position, context: Context) -> Reading | None:
        track = context.track.of(position) if context.track is not None else None
        if track is None:
            return self._unknown(name, position, context, {"why": "no best mark is remembered of this position"})
        if not self._in_atr:
            return self._judge(name, position, context, track)
        study = context.study_of(position.instrument)
        if isinstance(study, NoStudy):
            return None if study.is_untold else self._unknown(name, position, context, study.inputs)
        atr = max(study.atr, LEAST_ATR * track.best_mark)
        today = {severity: atrs * atr / track.best_mark for severity, atrs in self._thresholds}
        return self.with_thresholds(today)._judge(name, position, context, track, atr)

    def _unknown(self, name: str, position: Position, context: Context, why: Mapping[str, str | bool]) -> Reading:
        inputs = {"mark_price": position.mark_price, "entry_price": position.entry_price, **why}
        return self.of_position(name, context, position, None, inputs)

    def _judge(
        self, name: str, position: Position, context: Context, track: PositionTrack, atr: float | None = None
    ) -> Reading:
        inputs = {
            "mark_price": position.mark_price,
            "entry_price": position.entry_price,
            "best_mark": track.best_mark,
            "best_at": track.best_at.isoformat(),
            "watched_since": track.since.isoformat(),
            "atr": atr,
        }
        value = position.side.sign * (track.best_mark - position.mark_price) / track.best_mark
        reading = self.of_position(name, context, position, value, inputs)
        return self.with_remedy(reading, lambda: _advice(position, reading))


def _advice(position: Position, reading: Reading) -> dict[str, Any]:
    """Less of the position retreats as far, and so does one with more collateral: what is left is to get out."""
    stop = float(str(reading.inputs["best_mark"])) * (1 - position.side.sign * (reading.threshold or 0.0))
    return {"stop_price": stop, "advice": "close it, or write down why it is still worth holding"}

"""take_profit: the gains at which its owner said a position would be reduced, each told of once."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from monitor.domain.account import Position
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Verdict
from monitor.domain.track import gain_of
from monitor.rules.base import Context, Rule, SeverityDurations
from monitor.rules.quantities import Duration, Threshold

_SEVERITIES = {"info": Severity.INFO, "warning": Severity.WARNING}
MAX_LEVELS = 10


class TakeProfit(Rule):
    """The mark's distance beyond the entry price as a share of the entry price, at the best mark since watching began.

    Each level is told of once: a price that falls back and returns is no news, nor is a restart. Levels are of the
    price, not of the margin: at 10x, 5% is half of the margin. A position that grows has another entry price; levels
    it reached stay reached. Most channels are not sent what is `info`.
    """

    kind: Literal["take_profit"] = "take_profit"
    levels: Annotated[tuple[Threshold, ...], Field(min_length=1, max_length=MAX_LEVELS)] = Field(
        description="gains as shares of the entry price, ascending, such as [5%, 10%]"
    )
    severity: Literal["info", "warning"] = Field(default="warning", description="how a level that is reached is told")
    for_: Duration | SeverityDurations | None = Field(
        default=0.0, alias="for", description="how long it must hold before it fires; a level that was reached stays so"
    )

    why: ClassVar[str] = "a plan made in calm is what is left of judgement when a price runs"
    subjects_by: ClassVar[tuple[str, ...]] = ("levels",)
    formula: ClassVar[str] = (
        "the most since it was entered of (mark price - entry price) / entry price, of a short the negative"
    )
    min_repeat_s = math.inf

    @field_validator("levels")
    @classmethod
    def _ascending(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)):
            raise ValueError("levels must ascend")
        return levels

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        positions = self.positions_in(context.snapshot)
        return tuple(self._judge(name, position, level, context) for position in positions for level in self.levels)

    def _judge(self, name: str, position: Position, level: float, context: Context) -> Reading:
        track = context.track.of(position) if context.track is not None else None
        best = track.best_gain if track is not None else None
        inputs: dict[str, Any] = {
            "level": level,
            "gain": gain_of(position),
            "mark_price": position.mark_price,
            "entry_price": position.entry_price,
            "settle": position.instrument.settle,
            "unrealized_pnl": position.unrealized_pnl,
        }
        verdict = Verdict.UNKNOWN
        if track is None or best is None:
            inputs["why"] = "the venue did not tell at which price this position was entered"
        else:
            verdict = Verdict.BREACH if best >= level else Verdict.CLEAR
            inputs |= {"watched_since": track.since.isoformat()}
        return Reading(
            key=AlertKey(name, context.snapshot.account, Scope.POSITION, f"{position.subject} +{level * 100:.10g}%"),
            levels=(Level(_SEVERITIES[self.severity], verdict, level),),
            value=best,
            unit=self.unit,
            inputs=inputs,
        )

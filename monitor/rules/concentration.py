"""concentration: how much of what an account holds hangs on one underlying."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading
from monitor.risk.worth import UnknownWorthError, notional_of
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold


class Concentration(ThresholdRule):
    """Gross notional of the largest underlying / gross notional of all, in dollars, of one account.

    All contracts on one underlying count together, both sides as well. An account that holds one underlying only is
    clear: its owner knows what it hangs on, and a hedged pair is no concentration.
    """

    kind: Literal["concentration"] = "concentration"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "an account that looks spread stands and falls with the coin that is most of it"
    formula: ClassVar[str] = "largest notional / gross notional"
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        positions = [position for position in snapshot.positions if self.where.matches_position(position)]
        if not self.where.matches_account(snapshot.account, snapshot.venue) or (snapshot.positions and not positions):
            return ()
        by_base: dict[str, list[Position]] = {}
        for position in positions:
            by_base.setdefault(position.instrument.base, []).append(position)
        try:
            held = {base: sum(_dollars(p, context) for p in members) for base, members in by_base.items()}
        except UnknownWorthError as unknown:
            return (self.of_account(name, context, None, {"why": str(unknown)}),)
        if len(held) < 2:
            return (self.of_account(name, context, None, {"underlyings": len(held)}, self.all_clear()),)
        largest, gross = max(held, key=lambda base: held[base]), sum(held.values())
        inputs = {"underlying": largest, "largest_notional": held[largest], "gross_notional": gross}
        inputs |= {"underlyings": len(held), "currency": "USD"}
        reading = self.of_account(name, context, held[largest] / gross, inputs)
        size = sum(position.size for position in by_base[largest])
        return (self.with_remedy(reading, lambda: self._remedy(largest, size, held)),)

    def _remedy(self, largest: str, size: float, held: dict[str, float]) -> dict[str, Any]:
        """The cut of the largest underlying that leaves it the share wanted, unless another one is too large then."""
        others = sum(held.values()) - held[largest]
        if self.goal >= 1:
            return {}
        left = others * self.goal / (1 - self.goal)
        if not self.is_clear(max(left, *(worth for base, worth in held.items() if base != largest)) / (left + others)):
            return {}
        share = 1 - left / held[largest]
        return {"cut_share": share, "cut_size": size * share, "base": largest}


def _dollars(position: Position, context: Context) -> float:
    return abs(notional_of(position, context.snapshot, context.markets))

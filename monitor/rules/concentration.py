"""concentration: how much of what is held hangs on one underlying."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from monitor.domain.reading import PORTFOLIO, Level, Reading
from monitor.risk.underlying import Held, coins_of
from monitor.risk.worth import UnknownWorthError
from monitor.rules.base import CHOSEN_REPEAT_S, Context, Portfolio, ThresholdRule
from monitor.rules.quantities import Threshold
from monitor.rules.together import COUNTS_FROM, UnknownSumError, counting, gross_by, held_by, held_in

# More than that no underlying can be of what is held, where a second one is as much as counts.
_Threshold = Annotated[Threshold, Field(le=1 - COUNTS_FROM)]
Tell = Callable[[float | None, dict[str, Any], tuple[Level, ...] | None], Reading]


class Concentration(ThresholdRule):
    """Gross notional of the largest underlying / gross notional of all, in dollars: of one account, and of all.

    All contracts on one underlying count together, both sides as well. What holds one underlying only, or nothing else
    of 5 % or more, is clear: its owner knows what it hangs on, and a hedged pair is no concentration. Of all accounts
    together it speaks where two of them hold 5 % or more, and none of these says as much of itself.
    """

    kind: Literal["concentration"] = "concentration"
    warning: _Threshold | None = None
    critical: _Threshold | None = None

    why: ClassVar[str] = "an account that looks spread stands and falls with the coin that is most of it"
    formula: ClassVar[str] = "largest notional / gross notional"
    min_repeat_s: ClassVar[float] = CHOSEN_REPEAT_S

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        positions = [position for position in snapshot.positions if self.where.matches_position(position)]
        if not self.where.matches_account(snapshot.account, snapshot.venue) or (snapshot.positions and not positions):
            return ()
        try:
            held = held_in(context, self.where)
        except UnknownWorthError as unknown:
            return (self.of_account(name, context, None, {"why": str(unknown)}),)
        return (self._judge(held, lambda *told: self.of_account(name, context, *told)),)

    def evaluate_portfolio(self, name: str, portfolio: Portfolio) -> tuple[Reading, ...]:
        accounts = portfolio.narrowed(self.where)
        if accounts.size < 2:
            return ()
        try:
            held = held_by(accounts, self.where)
        except UnknownSumError as unknown:
            return (self.of_portfolio(name, PORTFOLIO, None, unknown.inputs),)
        holders = counting(gross_by(lambda one: one.account, held))
        if holders < 2 or _is_said_by_an_account(held):
            return (self.of_portfolio(name, PORTFOLIO, None, {"accounts": holders}, self.all_clear()),)
        return (self._judge(held, lambda *told: self.of_portfolio(name, PORTFOLIO, *told)),)

    def _judge(self, held: Sequence[Held], tell: Tell) -> Reading:
        worths = gross_by(lambda one: one.underlying, held)
        count = counting(worths)
        if count < 2:
            return tell(None, {"underlyings": count}, self.all_clear())
        largest, gross = next(iter(worths)), sum(worths.values())
        inputs = {"underlying": largest, "largest_notional": worths[largest], "gross_notional": gross}
        inputs |= {"underlyings": count, "currency": "USD"}
        reading = tell(worths[largest] / gross, inputs, None)
        size = sum(abs(coins_of(one.position)) for one in held if one.underlying == largest)
        return self.with_remedy(reading, lambda: self._remedy(largest, size, worths))

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


def _is_said_by_an_account(held: Sequence[Held]) -> bool:
    """Whether one of those that count hangs on the largest underlying no less than all together, and is spread."""
    worths, by_account = gross_by(lambda one: one.underlying, held), defaultdict[str, list[Held]](list)
    largest, gross = next(iter(worths)), sum(worths.values())
    for one in held:
        by_account[one.account].append(one)
    for of_one in by_account.values():
        own = gross_by(lambda one: one.underlying, of_one)
        worth, is_spread = sum(own.values()), counting(own) > 1
        if worth >= COUNTS_FROM * gross and is_spread and own.get(largest, 0.0) / worth >= worths[largest] / gross:
            return True
    return False

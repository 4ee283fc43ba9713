"""volatility_leverage: how far an ordinary day moves the equity, which is leverage in the measure of what is held."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from monitor.domain.account import Position
from monitor.domain.reading import Need, Reading
from monitor.domain.study import NoStudy, Study
from monitor.risk.volatility import portfolio_sigma
from monitor.risk.worth import UnknownWorthError, Worth
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import LeverageThreshold, Threshold


class VolatilityLeverage(ThresholdRule):
    """Standard deviation of a day's gain of all positions / equity of the account, in dollars.

    A cap on leverage that tightens in turbulence and comes back with calm: the threshold over the daily sigma of what
    is held. Of each coin the larger of a sigma that follows hours and one that follows weeks counts, 1 % at least.
    Coins that move together add up, and what is not known of two of them hedges nothing. A listing too young to tell
    counts as the wildest other coin, and alone says nothing. One day in three moves further
    than its sigma, and a crash ten times as far.
    """

    kind: Literal["volatility_leverage"] = "volatility_leverage"
    warning: Threshold | None = None
    critical: Threshold | None = None
    hard_cap: LeverageThreshold | None = Field(
        default=None, description="the leverage that the cap never exceeds, however calm the market is"
    )

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    why: ClassVar[str] = "5x in a calm market is another risk than 5x in a storm; what a day moves is what counts"
    formula: ClassVar[str] = "leverage * daily sigma"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        """None at all where candles of no coin are told: an alert about that would have no end."""
        snapshot = context.snapshot
        positions = self.positions_in(snapshot)
        if not self.where.matches_account(snapshot.account, snapshot.venue) or (snapshot.positions and not positions):
            return ()
        studies = _studies(positions, context)
        known = {coin: study for coin, study in studies.items() if isinstance(study, Study)}
        absent = [study for study in studies.values() if isinstance(study, NoStudy)]
        missing = [study for study in absent if not study.is_untold]
        if absent and not known and not missing:
            return ()
        try:
            worth = context.worth
        except UnknownWorthError as unknown:
            return (self.of_account(name, context, None, {"why": str(unknown)}),)
        if missing:
            # What failed is told before what is on its way.
            return (self.of_account(name, context, None, min(missing, key=lambda one: one.is_pending).inputs),)
        if absent:
            wildest = replace(max(known.values(), key=lambda study: study.sigma), returns={})
            known = dict.fromkeys(studies, wildest) | known
        return (self._judge(name, context, positions, known, worth),)

    def _judge(
        self,
        name: str,
        context: Context,
        positions: Sequence[Position],
        studies: dict[str, Study],
        worth: Worth,
    ) -> Reading:
        exposures: dict[str, float] = {}
        for position in positions:
            coin = position.instrument.base
            exposures[coin] = exposures.get(coin, 0.0) + worth.notionals[position.subject]
        gross = sum(abs(worth.notionals[position.subject]) for position in positions)
        moved = max(portfolio_sigma(exposures, studies), gross * self._least_sigma)
        equity = worth.equity
        inputs: dict[str, Any] = {"notional": gross, "equity": equity, "currency": "USD", "positions": len(positions)}
        if gross > 0 and moved > 0:
            sigma = moved / gross
            inputs |= {
                "leverage": gross / equity if equity > 0 else None,
                "daily_sigma": sigma,
                "leverage_cap": self._thresholds[0][1] / sigma,
            }
        # Equity that is gone is past any leverage.
        value = 0.0 if moved == 0 else moved / equity if equity > 0 else None
        reading = self.of_account(name, context, value, inputs, self.all_breached() if value is None else None)
        return self.with_remedy(reading, lambda: self._remedy(moved, equity, positions))

    @property
    def _least_sigma(self) -> float:
        """Calm in which the cap would exceed the hard one counts as less calm."""
        return 0.0 if self.hard_cap is None else self._thresholds[0][1] / self.hard_cap

    def _remedy(self, moved: float, equity: float, positions: Sequence[Position]) -> dict[str, Any]:
        """Exact, since what a day moves is linear in size."""
        found: dict[str, Any] = {"add_collateral": moved / self.goal - equity}
        if equity > 0:
            found["cut_share"] = 1 - self.goal * equity / moved
            if len(positions) == 1 and not positions[0].instrument.inverse:
                found |= {"cut_size": positions[0].size * found["cut_share"], "base": positions[0].instrument.base}
            found["cut_positions"] = len(positions)
        return found


def _studies(positions: Sequence[Position], context: Context) -> dict[str, Study | NoStudy]:
    """By coin: of several contracts on one coin the study with the larger sigma; one is enough."""
    found: dict[str, Study | NoStudy] = {}
    for position in positions:
        coin, study = position.instrument.base, context.study_of(position.instrument)
        known = found.get(coin)
        if known is None or isinstance(known, NoStudy) or (isinstance(study, Study) and study.sigma > known.sigma):
            found[coin] = study
    return found

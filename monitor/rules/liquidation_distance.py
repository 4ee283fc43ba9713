"""liquidation_distance: how far the mark may still go against a position before its pool is liquidated."""

from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.domain.account import MarginMode, Position, PriceOrigin
from monitor.domain.reading import Level, Need, Reading, Severity, Verdict
from monitor.domain.study import NoStudy, Study
from monitor.risk.liquidation import LiquidationPrices, liquidation_prices, solved_price
from monitor.risk.remedy import remedy_for_distance, with_collateral, with_cut
from monitor.risk.volatility import touch_probability
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Sigmas, Threshold


class LiquidationDistance(ThresholdRule):
    """(mark - liquidation price) / mark for a long, the negative for a short, per position; 0 is liquidation.

    The venue's price where it gives one, else our own solve, marked so. Legs that hedge each other in one pool are
    liquidated together, on whichever side the price lies: their distance is counted to that side. What an ordinary day
    moves (daily sigmas) may ask for more room than a fixed share, and never for less.
    """

    kind: Literal["liquidation_distance"] = "liquidation_distance"
    warning: Threshold | None = None
    critical: Threshold | None = None
    warning_sigmas: Sigmas | None = Field(
        default=None, description="2 sigma: a warning as well where what an ordinary day moves, twice, would reach it"
    )
    critical_sigmas: Sigmas | None = Field(default=None, description="the same of a critical alert")
    worse = "lower"

    why: ClassVar[str] = "a wick is enough: what is liquidated does not come back with the price"
    formula: ClassVar[str] = "(mark price - liquidation price) / mark price, of a short the negative"

    @model_validator(mode="after")
    def _sigmas_beside_shares(self) -> Self:
        lacking = self._in_sigmas.keys() - {severity for severity, _ in self._thresholds}
        if lacking:
            raise ValueError(f"give {min(lacking)} beside {min(lacking)}_sigmas")
        return self

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES} if self._in_sigmas else ())

    @property
    def _in_sigmas(self) -> dict[Severity, float]:
        given = {Severity.WARNING: self.warning_sigmas, Severity.CRITICAL: self.critical_sigmas}
        return {severity: sigmas for severity, sigmas in given.items() if sigmas is not None}

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        return tuple(self._of(name, position, context) for position in self.positions_in(context.snapshot))

    def _of(self, name: str, position: Position, context: Context) -> Reading:
        study = context.study_of(position.instrument)
        if isinstance(study, Study):
            return self._in_turbulence(study)._judge(name, position, context, study)
        reading = self._judge(name, position, context, None)
        return self._without_sigmas(reading, study) if self._in_sigmas and not study.is_untold else reading

    def _in_turbulence(self, study: Study) -> Self:
        """With today's thresholds: of share and sigmas the one that asks for more room."""
        sigmas = self._in_sigmas
        if not sigmas:
            return self
        today = {severity: max(share, sigmas.get(severity, 0.0) * study.sigma) for severity, share in self._thresholds}
        # What is critical is a warning at least.
        if Severity.WARNING in today:
            today[Severity.WARNING] = max(today.values())
        return self.with_thresholds(today)

    def _without_sigmas(self, reading: Reading, why: NoStudy) -> Reading:
        """By share alone it may breach, and is not known to be clear."""
        if reading.value is None:
            return reading
        levels = tuple(
            level if level.verdict is Verdict.BREACH else Level(level.severity, Verdict.UNKNOWN, level.threshold)
            for level in reading.levels
        )
        return replace(reading, levels=levels, inputs={**reading.inputs, **why.inputs})

    def _judge(self, name: str, position: Position, context: Context, study: Study | None) -> Reading:
        price, origin = position.liquidation_price, position.liquidation_price_origin
        value = _distance(position, price, context)
        if price is None:
            own = liquidation_prices(context.snapshot, position, context.markets)
            own_price, own_origin = solved_price(own, position.mark_price)
            own_value = 0.0 if own is not None and own.already else _distance(position, own_price, context)
            # A venue that says there is none is believed, unless our own solve finds one near.
            if origin is PriceOrigin.UNKNOWN or (own_value is not None and not self.is_clear(own_value)):
                price, origin, value = own_price, own_origin, own_value
        levels = self.levels(value)
        if origin is PriceOrigin.NONE:
            value, levels = None, self.all_clear()
        inputs: dict[str, Any] = {
            "mark_price": position.mark_price,
            "entry_price": position.entry_price,
            "liquidation_price": price,
            "liquidation_price_origin": str(origin),
            "notional": position.notional,
            "settle": position.instrument.settle,
            "base": position.instrument.base,
            "leverage": position.leverage,
            "margin_mode": str(position.margin_mode),
            "currency": position.instrument.settle,
        }
        if study is not None and price is not None:
            inputs["daily_sigma"] = study.sigma
            inputs["touch_probability"] = touch_probability(position.mark_price, price, study.sigma)
        if origin is PriceOrigin.UNKNOWN:
            inputs["why"] = "the venue gave no liquidation price and the account's margin is not known well enough"
        reading = self.of_position(name, context, position, value, inputs, levels)
        return self.with_remedy(reading, lambda: self._remedy_inputs(position, price, context))

    def _remedy_inputs(self, position: Position, price: float | None, context: Context) -> dict[str, Any]:
        """Only what clears the rule on the repriced account is offered, and our own price beside the venue's."""
        snapshot, markets = context.snapshot, context.markets
        own, _ = solved_price(liquidation_prices(snapshot, position, markets), position.mark_price)
        found: dict[str, Any] = {"own_liquidation_price": own}
        if price is None or own is None:
            return found
        remedy = remedy_for_distance(snapshot, position, price, self.clear_at, markets)
        shift = price - own
        if remedy.add_collateral is not None:
            after = with_collateral(snapshot, position.pool, remedy.add_collateral)
            prices = liquidation_prices(after, position, markets)
            if self._clears(prices, position, shift):
                found["add_collateral"] = remedy.add_collateral
        if remedy.cut_share is not None and position.margin_mode is MarginMode.CROSS:
            reduced = with_cut(snapshot, {position.subject: remedy.cut_share}, markets)
            left = next((p for p in reduced.positions if p.subject == position.subject), None)
            if left is None or self._clears(liquidation_prices(reduced, left, markets), left, shift):
                found["cut_share"] = remedy.cut_share
                found["cut_size"] = position.size * remedy.cut_share
        return found

    def _clears(self, prices: LiquidationPrices | None, position: Position, shift: float) -> bool:
        """Judged by our own solve, moved by what it was off the price that raised the alert."""
        if prices is None or prices.already:
            return False
        nearest = prices.nearest(position.mark_price)
        return nearest is None or self.is_clear(abs(nearest + shift - position.mark_price) / position.mark_price)


def _distance(position: Position, price: float | None, context: Context) -> float | None:
    """A fraction of the mark; negative where the mark is past the price already."""
    if price is None:
        return None
    distance = position.side.sign * (position.mark_price - price) / position.mark_price
    return abs(distance) if distance < 0 and _is_hedged_and_alive(position, context) else distance


def _is_hedged_and_alive(position: Position, context: Context) -> bool:
    """Where the pool's margin is unknown, legs of one price hedge each other: one of them always lies beyond it."""
    legs = [p for p in context.snapshot.positions_in(position.pool) if p.instrument == position.instrument]
    balance = context.snapshot.margin(position.pool)
    if len(legs) < 2:
        return False
    if balance is None or balance.equity is None or balance.maintenance_margin is None:
        return len({leg.liquidation_price for leg in legs}) == 1
    return balance.margin_ratio is not None and balance.margin_ratio < 1

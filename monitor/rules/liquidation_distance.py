"""liquidation_distance: how far the mark may still go against a position before its pool is liquidated."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import MarginMode, Position, PriceOrigin
from monitor.domain.reading import Reading
from monitor.risk.liquidation import LiquidationPrices, liquidation_prices, solved_price
from monitor.risk.remedy import remedy_for_distance, with_collateral, with_cut
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold


class LiquidationDistance(ThresholdRule):
    """(mark - liquidation price) / mark for a long, the negative for a short, per position; 0 is liquidation.

    The venue's price where it gives one, else our own solve, marked so. Legs that hedge each other in one pool are
    liquidated together, on whichever side the price lies: their distance is counted to that side.
    """

    kind: Literal["liquidation_distance"] = "liquidation_distance"
    warning: Threshold | None = None
    critical: Threshold | None = None
    worse = "lower"

    why: ClassVar[str] = "a wick is enough: what is liquidated does not come back with the price"
    formula: ClassVar[str] = "(mark price - liquidation price) / mark price, of a short the negative"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        return tuple(self._judge(name, position, context) for position in self.positions_in(context.snapshot))

    def _judge(self, name: str, position: Position, context: Context) -> Reading:
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

"""stop_missing: how much of a position no stop at the venue would close before the venue does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from monitor.domain.account import OrderKind, Position, PriceOrigin, Side, StopOrder
from monitor.domain.reading import Level, Need, Reading, Severity, Verdict
from monitor.domain.study import NoStudy
from monitor.risk.liquidation import liquidation_prices
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import ANY_SHARE, AtrThreshold, Share

# A stop that is advised is judged this share of the way from the liquidation price to the mark.
INSIDE = 1e-6


class StopMissing(ThresholdRule):
    """Share of a position that no reduce-only stop at the venue covers.

    A stop counts where it would fire: on the losing side of the mark, and before the liquidation price. Trailing stops
    count from the moment they are placed. What rests in a trading program, or as a plain limit order, is no stop.
    With `noise` a fixed stop may be too close: what an ordinary day moves either way would close the position.
    """

    kind: Literal["stop_missing"] = "stop_missing"
    warning: Share | None = None
    critical: Share | None = None
    take_profit: Literal["required"] | None = Field(
        default=None, description="required: a position without a take-profit is a warning as well"
    )
    noise: AtrThreshold | None = Field(
        default=None, description="1.5 ATR: a stop closer to the entry than that is a warning as well"
    )

    # It stays as it is until its owner acts; every five minutes it would be noise.
    min_repeat_s: ClassVar[float] = 3600.0
    may_be_equal = True

    why: ClassVar[str] = "without a stop at the venue a crash while nobody looks ends in liquidation"
    formula: ClassVar[str] = "1 - covered, the share of the position that reduce-only orders would close in time"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.ORDERS} if self.noise is None else {Need.ORDERS, Need.CANDLES})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        """None at all where the venue never tells resting orders: an alert about that would have no end."""
        snapshot = context.snapshot
        if snapshot.orders is None and snapshot.orders_failure is None:
            return ()
        return tuple(self._judge(name, position, context) for position in self.positions_in(snapshot))

    def _judge(self, name: str, position: Position, context: Context) -> Reading:
        snapshot = context.snapshot
        if snapshot.orders is None:
            levels = self._levels(None, Verdict.UNKNOWN)
            why = {"why": snapshot.orders_failure} | ({"is_pending": True} if snapshot.orders_pending else {})
            return self.of_position(name, context, position, None, why, levels)
        held = (position.instrument.symbol, position.side)
        orders = [order for order in snapshot.orders if (order.instrument.symbol, order.side) == held]
        liquidation = _liquidation_ahead(position, context)
        cover = _Cover.of(position, orders, liquidation)
        closeness, close = self._closeness(position, orders, liquidation, context)
        inputs = {
            "problem": cover.problem,
            "covered": cover.share,
            "stops": cover.counted,
            "take_profits": cover.take_profits,
            "needs_take_profit": self.take_profit is not None,
            "orders_at": snapshot.orders_at.isoformat() if snapshot.orders_at else None,
            "mark_price": position.mark_price,
            "liquidation_price": liquidation,
            "side": str(position.side),
            "size": position.size,
            "base": position.instrument.base,
            **close,
        }
        lacks_target = self.take_profit is not None and not cover.take_profits
        levels = self._levels(cover.uncovered, Verdict.BREACH if lacks_target else closeness)
        reading = self.of_position(name, context, position, cover.uncovered, inputs, levels)
        return self.with_remedy(reading, lambda: self._remedy(position, orders, cover, liquidation))

    def _closeness(
        self, position: Position, orders: Sequence[StopOrder], liquidation: float | None, context: Context
    ) -> tuple[Verdict, dict[str, Any]]:
        """Whether a fixed stop lies within the noise around the entry; past the entry it protects a gain."""
        if self.noise is None or position.entry_price is None:
            return Verdict.CLEAR, {}
        study = context.study_of(position.instrument)
        if isinstance(study, NoStudy):
            return (Verdict.CLEAR, {}) if study.is_untold else (Verdict.UNKNOWN, {**study.inputs})
        entry, sign = position.entry_price, position.side.sign
        rooms = [
            sign * (entry - order.trigger_price)
            for order in orders
            if order.kind is OrderKind.STOP
            and order.trigger_price is not None
            and _problem(order, position, liquidation) is None
        ]
        closest = min((room for room in rooms if room > 0), default=None)
        if closest is None or closest >= self.noise * study.atr:
            return Verdict.CLEAR, {}
        return Verdict.BREACH, {
            "closest_stop_atr": closest / study.atr,
            "noise_until_price": entry - sign * self.noise * study.atr,
        }

    def _levels(self, value: float | None, besides: Verdict) -> tuple[Level, ...]:
        """Those of the stop; that of the warning is breached by what is asked for besides as well."""
        levels = {level.severity: level for level in self.levels(value)}
        if self.take_profit is not None or self.noise is not None:
            of_stop = levels.get(Severity.WARNING)
            if of_stop is None or (besides is not Verdict.CLEAR and of_stop.verdict is not Verdict.BREACH):
                levels[Severity.WARNING] = Level(Severity.WARNING, besides, None)
        return tuple(levels[severity] for severity in sorted(levels))

    def _remedy(
        self, position: Position, orders: Sequence[StopOrder], cover: "_Cover", liquidation: float | None
    ) -> dict[str, Any]:
        """The stop that is missing, where the same rule finds the position covered with it."""
        if self.is_clear(cover.uncovered):
            return {}
        mark, instrument = position.mark_price, position.instrument
        far = liquidation if liquidation is not None else mark * (1 - position.side.sign / 2)
        contracts = cover.uncovered * position.contracts
        stop = _a_stop(position, contracts, far + (mark - far) * INSIDE)
        if not self.is_clear(_Cover.of(position, [*orders, stop], liquidation).uncovered):
            return {}
        return {
            "stop_size": contracts * instrument.contract_size,
            "stop_unit": instrument.quote if instrument.inverse else instrument.base,
            "stop_within": liquidation,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cover:
    """What the orders for one position do for it: `share` of it that `counted` stops close, and what is wrong."""

    share: float
    counted: int
    take_profits: int
    problem: str | None

    @property
    def uncovered(self) -> float:
        """At most 1; what is less than ANY_SHARE is rounding."""
        left = 1 - self.share
        return left if left >= ANY_SHARE else 0.0

    @classmethod
    def of(cls, position: Position, orders: Sequence[StopOrder], liquidation: float | None) -> "_Cover":
        share, counted, targets, problems = 0.0, 0, 0, list[str]()
        for order in orders:
            if order.kind is OrderKind.TAKE_PROFIT:
                targets += order.reduce_only
            elif problem := _problem(order, position, liquidation):
                problems.append(problem)
            else:
                counted += 1
                share += _share(order, position)
        if not counted and not problems:
            problems.append("no stop rests at the venue")
        elif counted and 1 - share >= ANY_SHARE:
            problems.insert(0, "its stops are smaller than the position")
        return cls(
            share=min(share, 1.0),
            counted=counted,
            take_profits=targets,
            problem="; ".join(dict.fromkeys(problems)) or None,
        )


def _problem(order: StopOrder, position: Position, liquidation: float | None) -> str | None:
    """Why a stop does not count. A trailing one may name the price, on the winning side, from which it will trail."""
    if not order.reduce_only:
        return "a stop is not reduce-only: it may open a position the other way"
    trigger, sign = order.trigger_price, position.side.sign
    if trigger is None:
        return None
    if liquidation is not None and sign * (trigger - liquidation) <= 0:
        return "a stop lies beyond the liquidation price and would never fire"
    if order.kind is OrderKind.STOP and sign * (position.mark_price - trigger) <= 0:
        return "a stop lies on the wrong side of the mark"
    return None


def _share(order: StopOrder, position: Position) -> float:
    """Of the position. What waits for no price yet is counted at the mark."""
    if order.size is None:
        return 1.0
    price = order.trigger_price or position.mark_price
    return position.instrument.contracts(order.size, price) / position.contracts


def _liquidation_ahead(position: Position, context: Context) -> float | None:
    """Where the mark would have to go against the position for the venue to take it: None where that is nowhere, where
    it is not known, and at the mark itself, of which liquidation_distance speaks.

    The venue's price, unless that lies on the winning side: there the other leg of a hedge has the pool taken first,
    and what lies on this side is ours to find.
    """
    price, mark = position.liquidation_price, position.mark_price
    if price is not None and position.side.sign * (mark - price) > 0:
        return price
    if position.liquidation_price_origin is PriceOrigin.NONE or price == mark:
        return None
    own = liquidation_prices(context.snapshot, position, context.markets)
    if own is None:
        return None
    return own.below if position.side is Side.LONG else own.above


def _a_stop(position: Position, contracts: float, trigger: float) -> StopOrder:
    units = contracts * position.instrument.contract_size
    return StopOrder(
        instrument=position.instrument,
        side=position.side,
        kind=OrderKind.STOP,
        trigger_price=trigger,
        callback_rate=None,
        size=units / trigger if position.instrument.inverse else units,
        reduce_only=True,
    )

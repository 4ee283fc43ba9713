"""loss: how much of what a trade staked it has lost."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Level, Need, Reading, Verdict
from monitor.risk.booked import behind, may_tell, realised_of
from monitor.risk.margin import InitialMargin, initial_margin_of
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold

# Half closed is as large a share, but for the last digit.
ROUNDING = 1e-9
_BY_PRICES = "entry price and mark"


class Loss(ThresholdRule):
    """Loss of a position / its initial margin; a gain counts as no loss.

    With a leverage of 5x the price has moved a fifth of that share. What the venue booked to the position since it was
    first seen counts where that makes it worse: profit, funding and fees, against the margin of the most that was held;
    but not where both sides of a contract are held, whose bookings are not told apart. What was gained before, or by
    the other side of a hedge, makes no loss smaller. Of a position that was cut, bookings that cannot be read may be of
    a loss: without them it is unknown, or no less than what is left of it shows. Where the venue tells neither the
    position's margin nor a leverage there is no reading. What a whole account loses in a day is drawdown's to tell.
    """

    kind: Literal["loss"] = "loss"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "a small loss is a decision, a large one a hope: it is told while there is something to decide"
    formula: ClassVar[str] = "loss / initial margin"
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.LEDGER})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        found = []
        for position in self.positions_in(context.snapshot):
            margin, (pnl, basis) = initial_margin_of(position), _pnl(position)
            if margin is not None and pnl is not None:
                found.append(self._judge(name, position, pnl, basis, margin, context))
        return tuple(found)

    def _judge(
        self, name: str, position: Position, pnl: float, basis: str | None, margin: InitialMargin, context: Context
    ) -> Reading:
        """By what the prices show, or by that and what is booked together: the larger share."""
        loss, staked, booked = max(0.0, -pnl), margin.amount, None
        track = context.track.of(position) if context.track is not None else None
        if track is not None:
            booked = realised_of(context.snapshot, context.markets, position, track.since)
        if track is not None and booked is not None:
            # Who closes half of a position has lost no larger share of it by that.
            most = margin.amount * max(1.0, track.most_units / position.units)
            whole = max(0.0, -pnl - booked.amount)
            if whole * staked >= loss * most * (1 - ROUNDING):
                loss, staked = whole, most
        why = _unread(position, context)
        value = None if why is not None and self.is_clear(loss / staked) else loss / staked
        inputs: dict[str, Any] = {
            "loss": loss,
            "unrealised": pnl,
            "loss_basis": basis,
            "realised": booked.amount if booked else None,
            "realised_since": booked.since.isoformat() if booked else None,
            "initial_margin": staked,
            "initial_margin_basis": margin.basis,
            "entry_price": position.entry_price,
            "mark_price": position.mark_price,
            "currency": position.instrument.settle,
            "advice": "close or reduce it, or set the stop that you accept: adding margin makes no loss smaller",
        }
        levels = self.levels(value)
        if why is not None:
            inputs["why"] = f"what closing a part of it booked is not known: {why}"
            levels = tuple(_at_least(level) for level in levels)
        return self.of_position(name, context, position, value, inputs, levels)


def _unread(position: Position, context: Context) -> str | None:
    """Why it may have lost more: it was cut, and what that booked is not known."""
    track = context.track.of(position) if context.track is not None else None
    if track is None or track.most_units <= position.units or not may_tell(context.snapshot, position):
        return None
    return behind(context.snapshot, context.now)


def _at_least(level: Level) -> Level:
    return replace(level, verdict=Verdict.HOLD) if level.verdict is Verdict.CLEAR else level


def _pnl(position: Position) -> tuple[float | None, str | None]:
    """What the venue tells, or else what the prices say, with that named."""
    if position.unrealized_pnl is not None or position.entry_price is None:
        return position.unrealized_pnl, None
    instrument = position.instrument
    return instrument.pnl(position.side, position.contracts, position.entry_price, position.mark_price), _BY_PRICES

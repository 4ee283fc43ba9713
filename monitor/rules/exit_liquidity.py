"""exit_liquidity: what leaving a position at once would take of the margin that keeps it alive."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from monitor.domain.account import MarginBalance, Position
from monitor.domain.market import Book, MarketState, NoBook
from monitor.domain.reading import Level, Need, Reading, Verdict
from monitor.risk.exit import Exit, after_cut, against, buffer_of, exit_of
from monitor.risk.remedy import smallest_share
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Ratio, Threshold

BOOK_MAX_AGE = timedelta(minutes=3)
SLICE_EVERY = timedelta(minutes=1)


class ExitLiquidity(ThresholdRule):
    """Slippage of closing the whole position at once / what its margin pool holds above maintenance.

    The order book is walked as the venue told it, against the mark. Where it ends before the position does, the least
    that it costs is judged, and what it costs where the book goes on as densely: between the two it is unknown. How
    long a careful exit takes, in slices of `depth_share` of what is told, a minute apart, is shown and not judged.

    A position that is worth less than the threshold is clear whatever rests. Where a venue tells no order books there
    is no reading.
    """

    kind: Literal["exit_liquidity"] = "exit_liquidity"
    warning: Threshold | None = None
    critical: Threshold | None = None
    depth_share: Ratio = Field(
        default=0.5, gt=0, le=1, description="share of the told book that a slice of an exit takes"
    )

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    why: ClassVar[str] = "in a crash books empty first, and what cannot be closed in time is closed by the venue"
    formula: ClassVar[str] = "slippage / margin buffer"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.BOOKS})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        positions = self.positions_in(context.snapshot)
        readings = (self._judge(name, position, context) for position in positions)
        return tuple(reading for reading in readings if reading is not None)

    def _judge(self, name: str, position: Position, context: Context) -> Reading | None:
        """None where the venue tells no books: an alert about that would have no end."""
        state = context.markets.get(position.instrument.symbol)
        if state is not None and state.no_book is not None and state.no_book.is_untold:
            return None
        book, balance = state.book if state is not None else None, context.snapshot.margin(position.pool)
        buffer = buffer_of(balance) if balance is not None else None
        if balance is None or buffer is None:
            why = f"the margin buffer of {position.pool} is not known"
            return self.of_position(name, context, position, None, {"why": why})
        missing = _why_no_book(state, context)
        if self._is_small(position, buffer) and (missing or not book or not against(book.value, position.side)):
            known = {"margin_buffer": buffer, "currency": balance.currency, "notional": position.notional}
            return self.of_position(name, context, position, None, known, self.all_clear())
        if book is None or missing is not None:
            return self.of_position(name, context, position, None, missing.inputs if missing else {})
        found = exit_of(position, book.value)
        inputs = self._explained(found, position, balance, buffer) | {"book_at": book.observed_at.isoformat()}
        levels = self._levels(found, position, buffer)
        # No number describes that nobody is there to close with, or that there is nothing to close with.
        is_number = buffer > 0 and found.last_price is not None
        value = found.at_least * position.pool_rate / buffer if is_number else None
        reading = self.of_position(name, context, position, value, inputs, levels)
        if reading.is_unknown:
            return replace(reading, value=None, inputs={**inputs, "why": _too_little(found, position)})
        return self.with_remedy(reading, lambda: self._remedy(found, position, buffer, book.value, context))

    def _is_small(self, position: Position, buffer: float) -> bool:
        """Whether no book needs to be seen: were all that it is worth lost by closing it, the rule would be clear."""
        return buffer > 0 and self.is_clear(position.notional * position.pool_rate / buffer)

    def _levels(self, found: Exit, position: Position, buffer: float) -> tuple[Level, ...]:
        """Of the least it costs; unknown where what it may cost would be judged otherwise."""
        if buffer <= 0 or found.last_price is None:
            return self.all_breached()
        least = self.levels(found.at_least * position.pool_rate / buffer)
        about = self.levels(None if found.about is None else found.about * position.pool_rate / buffer)
        return tuple(
            low if low.verdict in (Verdict.BREACH, likely.verdict) else replace(low, verdict=Verdict.UNKNOWN)
            for low, likely in zip(least, about, strict=True)
        )

    def _explained(self, found: Exit, position: Position, balance: MarginBalance, buffer: float) -> dict[str, Any]:
        rate, slice_of = position.pool_rate, self.depth_share * found.depth
        slices = math.ceil(position.contracts / slice_of * (1 - 1e-9)) if slice_of > 0 else None
        return {
            "slippage": found.at_least * rate,
            "slippage_about": None if found.about is None else found.about * rate,
            "slippage_share": found.at_least / position.notional,
            "side": str(position.side),
            "margin_buffer": buffer,
            "currency": balance.currency,
            "told_share": min(found.depth / position.contracts, 1.0),
            "size": position.size,
            "base": position.instrument.base,
            "last_price": found.last_price,
            "mark_price": position.mark_price,
            "slices": slices,
            "slices_min": None if slices is None else (slices - 1) * (SLICE_EVERY / timedelta(minutes=1)),
        }

    def _remedy(self, found: Exit, position: Position, buffer: float, book: Book, context: Context) -> dict[str, Any]:
        """Collateral is exact: the slippage stays as it is. A cut pays its own."""

        if found.last_price is None:
            return {"advice": "hedge it elsewhere: at this venue nobody takes it now"}

        def enough(share: float) -> bool:
            after = after_cut(share, position, book, context.snapshot, context.markets)
            return after is not None and after[0] <= self.goal * after[1]

        remedy: dict[str, Any] = {}
        if found.about is not None:
            remedy["add_collateral"] = found.about * position.pool_rate / self.goal - buffer
        share = smallest_share(enough)
        if share is not None:
            remedy |= {"cut_share": share, "cut_size": position.size * share, "base": position.instrument.base}
        return remedy


def _why_no_book(state: MarketState | None, context: Context) -> NoBook | None:
    """None where there is one that counts."""
    if state is None or state.book is None:
        return (state.no_book if state is not None else None) or NoBook("its order book has not been read yet")
    read_at = state.book.observed_at
    if context.now - read_at > BOOK_MAX_AGE:
        return NoBook(f"its order book was last read at {read_at:%H:%M:%S} UTC")
    return None


def _too_little(found: Exit, position: Position) -> str:
    share = found.depth / position.contracts
    return f"its order book as told ends after {share:.1%} of the position, which may cost more than is known"

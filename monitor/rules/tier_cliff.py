"""tier_cliff: how much a position may grow before more maintenance margin is asked of it."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.market import Tier, Tiers
from monitor.domain.reading import Reading
from monitor.risk.margin import tier_of
from monitor.risk.reprice import tiers_of
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold


class TierCliff(ThresholdRule):
    """Room to the next maintenance bracket with a higher rate, as a share of the notional.

    The notional grows with the mark as well, so a position may cross an edge that nobody added to. Where a venue's
    brackets are not known there is no reading.
    """

    kind: Literal["tier_cliff"] = "tier_cliff"
    warning: Threshold | None = None
    critical: Threshold | None = None
    worse = "lower"

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    why: ClassVar[str] = "beyond a bracket's edge more margin is owed, and the liquidation price comes closer"
    formula: ClassVar[str] = "(edge - notional) / notional"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        positions = self.positions_in(context.snapshot)
        bracketed = [(position, tiers_of(context.markets, position)) for position in positions]
        return tuple(self._judge(name, position, tiers, context) for position, tiers in bracketed if tiers)

    def _judge(self, name: str, position: Position, tiers: Tiers, context: Context) -> Reading:
        ahead = _next_edge(tiers, position.notional)
        inputs: dict[str, Any] = {"notional": position.notional, "currency": position.instrument.settle}
        value = None
        if ahead is not None:
            value = _room(tiers, position.notional)
            inputs |= _explained(position, *ahead)
        levels = self.all_clear() if ahead is None else None
        reading = self.of_position(name, context, position, value, inputs, levels)
        return self.with_remedy(reading, lambda: self._remedy(position, tiers, inputs["edge"]))

    def _remedy(self, position: Position, tiers: Tiers, edge: float) -> dict[str, Any]:
        """The cut that leaves room enough, unless it lands below the bracket's own edge, too close to that."""
        left = edge / (1 + self.goal)
        room = _room(tiers, left)
        if room is not None and not self.is_clear(room):
            return {}
        share = 1 - left / position.notional
        return {"cut_share": share, "cut_size": position.size * share, "base": position.instrument.base}


def _next_edge(tiers: Tiers, notional: float) -> tuple[Tier, Tier] | None:
    """The bracket whose cap is the next edge beyond which the rate is higher, and the one behind it."""
    now = tiers.index(tier_of(tiers, notional))
    for below, above in zip(tiers[now:], tiers[now + 1 :], strict=False):
        if above.rate > below.rate:
            return below, above
    return None


def _room(tiers: Tiers, notional: float) -> float | None:
    """None where no higher rate is ahead."""
    ahead = _next_edge(tiers, notional)
    return None if ahead is None else (ahead[0].cap - notional) / notional


def _explained(position: Position, below: Tier, above: Tier) -> dict[str, Any]:
    edge, mark = below.cap, position.mark_price
    growth = edge / position.notional
    return {
        "edge": edge,
        # Worth in coin falls while the price rises.
        "edge_price": mark / growth if position.instrument.inverse else mark * growth,
        "rate": below.rate,
        "next_rate": above.rate,
        "maintenance_at_edge": below.maintenance(edge),
        "maintenance_beyond": above.maintenance(edge),
    }

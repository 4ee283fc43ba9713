"""common_shock: the move of the whole market, told as one of BTC, that liquidates a margin pool."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from monitor.domain.account import AccountSnapshot, MarginBalance, MarginMode
from monitor.domain.reading import Need, Reading, Scope
from monitor.risk.backing import moving_coins
from monitor.risk.remedy import smallest_share, with_collateral, with_cut
from monitor.risk.shock import LARGEST_FALL, LARGEST_RISE, PoolPath, btc_moves, btc_rates
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
from monitor.rules.quantities import Threshold

LOSERS_NAMED = 3
# By so much a remedy goes further than it must, in move and in size: more than what both are found to.
REACH_MARGIN, REMEDY_MARGIN = 1e-5, 1e-4
# So finely each direction is looked through for the worst move.
STEPS = 100


class CommonShock(ThresholdRule):
    """The smaller move of BTC, up or down, at which a margin pool is liquidated, all its positions moving with BTC.

    Each liquidation price holds while nothing else moves; in a crash everything does, and the pool is gone long before
    any of them. BTC counts with a beta of 1; any other coin that loses with its beta, of 2.5 at least, and one that
    gains with its beta, of 1 at most. Betas are measured over the last hundred days, where candles are told.
    Coins held as collateral move as well, where the venue tells which. A pool of one instrument and no such coin has
    its liquidation price for this, and is not judged here.
    """

    kind: Literal["common_shock"] = "common_shock"
    warning: Threshold | None = None
    critical: Threshold | None = None
    worse = "lower"

    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S
    why: ClassVar[str] = "in a crash all coins fall at once, and no single liquidation price tells what that does"
    formula: ClassVar[str] = "smallest |x| at which the pool is liquidated, each mark moving by beta * x"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        return tuple(self._judge(name, m, context) for m in snapshot.margins if self._applies(m, snapshot))

    def _applies(self, balance: MarginBalance, snapshot: AccountSnapshot) -> bool:
        positions = snapshot.positions_in(balance.pool)
        moving = {position.instrument.symbol for position in positions}
        moving |= moving_coins(snapshot, balance)
        return len(moving) > 1 and any(self.where.matches_position(position) for position in positions)

    def _judge(self, name: str, balance: MarginBalance, context: Context) -> Reading:
        path = PoolPath.of(context.snapshot, balance, context.markets, btc_rates(context.betas))
        inputs: dict[str, Any] = {"currency": balance.currency}
        if path is None:
            inputs["why"] = "the pool's equity, or the maintenance margin of a position in it, is not known"
            return self._reading(name, balance, context, None, inputs)
        moves = btc_moves(path)
        inputs |= {
            "btc_fall": moves.fall,
            "btc_rise": moves.rise,
            "equity": balance.equity,
            "maintenance_margin": balance.maintenance_margin,
            "holds_coins_still": path.holds_coins_still,
        }
        if context.bitcoin is not None:
            inputs["daily_sigma"] = context.bitcoin.sigma
        if moves.nearest is None:
            return self._reading(name, balance, context, None, inputs, is_safe=True)
        inputs |= _losers(path, moves.nearest)
        reading = self._reading(name, balance, context, abs(moves.nearest), inputs)
        return self.with_remedy(reading, lambda: self._remedy(balance, path, context))

    def _reading(
        self,
        name: str,
        balance: MarginBalance,
        context: Context,
        value: float | None,
        inputs: Mapping[str, Any],
        *,
        is_safe: bool = False,
    ) -> Reading:
        return self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.POOL,
            subject=balance.pool,
            value=value,
            inputs=inputs,
            levels=self.all_clear() if is_safe else None,
        )

    def _remedy(self, balance: MarginBalance, path: PoolPath, context: Context) -> dict[str, Any]:
        """Enough for both directions; only what clears the rule on the account with it applied is offered."""
        snapshot, markets = context.snapshot, context.markets
        positions = snapshot.positions_in(balance.pool)
        found: dict[str, Any] = {}

        def cut(share: float) -> AccountSnapshot:
            return with_cut(snapshot, {position.subject: share for position in positions}, markets)

        for sizes in self._sizes():
            add = -_least(path, sizes) * (1 + REMEDY_MARGIN)
            if self._clears(with_collateral(snapshot, balance.pool, add), balance.pool, context):
                found["add_collateral"] = add
                break
        for sizes in self._sizes() if all(p.margin_mode is MarginMode.CROSS for p in positions) else ():

            def enough(share: float, sizes: tuple[float, ...] = sizes) -> bool:
                return _least(_path(cut(share), balance.pool, context), sizes) > 0

            share = smallest_share(enough)
            if share is not None and self._clears(cut(share), balance.pool, context):
                found |= {"cut_share": share, "cut_positions": len(positions)}
                break
        return found

    def _sizes(self) -> Iterator[tuple[float, ...]]:
        """Moves that have to be survived. The furthest are nearly always the worst; not where linear and inverse
        contracts on one coin hedge each other."""
        reach = self.clear_at + REACH_MARGIN
        yield -reach, reach
        yield tuple(reach * step / STEPS for step in range(-STEPS, STEPS + 1))

    def _clears(self, after: AccountSnapshot, pool: str, context: Context) -> bool:
        """Looked at no further than the rule looks."""
        path = _path(after, pool, context)
        ends = max(-self.clear_at, LARGEST_FALL), min(self.clear_at, LARGEST_RISE)
        return path is not None and all(path.first(end) is None for end in ends)


def _path(snapshot: AccountSnapshot, pool: str, context: Context) -> PoolPath | None:
    """Of the account as it would be, in the market as it is."""
    balance = snapshot.margin(pool)
    return None if balance is None else PoolPath.of(snapshot, balance, context.markets, btc_rates(context.betas))


def _least(path: PoolPath | None, sizes: Sequence[float]) -> float:
    """The least surplus at those sizes; less than any where it is not known."""
    return -math.inf if path is None else min(map(path.surplus, sizes))


def _losers(path: PoolPath, size: float) -> Iterator[tuple[str, Any]]:
    """Who loses most there, and how much of the pool's currency."""
    losses = sorted((gain, subject) for subject, gain in path.gains(size).items() if gain < 0)
    for rank, (gain, subject) in enumerate(losses[:LOSERS_NAMED], 1):
        yield f"loser_{rank}", subject
        yield f"loss_{rank}", -gain

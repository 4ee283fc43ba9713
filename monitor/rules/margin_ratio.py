"""margin_ratio: how much of a margin pool's equity its maintenance margin has eaten."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from monitor.domain.account import AccountSnapshot, MarginBalance, MarginMode
from monitor.domain.reading import Reading, Scope
from monitor.risk.remedy import Remedy, remedy_for_margin_ratio, with_collateral, with_cut
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold

# At 100 % the pool is taken: an alert there would come after it.
_Threshold = Annotated[Threshold, Field(lt=1)]


class MarginRatio(ThresholdRule):
    """Maintenance margin / margin balance, per margin pool; at 100 % the venue liquidates."""

    kind: Literal["margin_ratio"] = "margin_ratio"
    warning: _Threshold | None = None
    critical: _Threshold | None = None

    why: ClassVar[str] = "when maintenance has eaten the equity, the venue takes all positions of the pool at once"
    formula: ClassVar[str] = "maintenance margin / equity"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        return tuple(self._judge(name, m, context) for m in snapshot.margins if self._applies(m, snapshot))

    def _applies(self, balance: MarginBalance, snapshot: AccountSnapshot) -> bool:
        """A filter on positions picks the pools that hold one of them."""
        if not self.where.names_positions:
            return True
        return any(self.where.matches_position(p) for p in snapshot.positions_in(balance.pool))

    def _judge(self, name: str, balance: MarginBalance, context: Context) -> Reading:
        ratio = balance.margin_ratio
        levels = self.all_breached() if balance.under_water else self.levels(ratio)
        inputs: dict[str, Any] = {
            "currency": balance.currency,
            "equity": balance.equity,
            "maintenance_margin": balance.maintenance_margin,
            "venue_margin_ratio": balance.venue_margin_ratio,
        }
        if ratio is None and not balance.under_water:
            inputs["why"] = "the venue did not tell this pool's equity and maintenance margin"
        reading = self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.POOL,
            subject=balance.pool,
            value=ratio,
            inputs=inputs,
            levels=levels,
        )
        return self.with_remedy(reading, lambda: self._remedy_inputs(balance, context))

    def _remedy_inputs(self, balance: MarginBalance, context: Context) -> dict[str, Any]:
        snapshot, markets = context.snapshot, context.markets
        target = self.clear_at
        remedy = remedy_for_margin_ratio(snapshot, balance, target, markets)
        return self._proven(remedy, balance, context)

    def _proven(self, remedy: Remedy, balance: MarginBalance, context: Context) -> dict[str, Any]:
        """Only what clears the rule on the repriced account is offered.

        Reducing an isolated position releases its margin with it, so a cut is offered for cross pools alone.
        """
        snapshot, proven = context.snapshot, dict[str, Any]()
        positions = snapshot.positions_in(balance.pool)
        if remedy.add_collateral is not None:
            after = with_collateral(snapshot, balance.pool, remedy.add_collateral).margin(balance.pool)
            if after is not None and self.is_clear(after.margin_ratio):
                proven["add_collateral"] = remedy.add_collateral
        if remedy.cut_share is not None and all(p.margin_mode is MarginMode.CROSS for p in positions):
            shares = {p.subject: remedy.cut_share for p in positions}
            after = with_cut(snapshot, shares, context.markets).margin(balance.pool)
            if after is not None and self.is_clear(after.margin_ratio):
                proven["cut_share"] = remedy.cut_share
                proven["cut_positions"] = len(positions)
                if len(positions) == 1:
                    proven["cut_size"] = positions[0].size * remedy.cut_share
                    proven["base"] = positions[0].instrument.base
        return proven

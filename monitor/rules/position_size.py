"""position_size: how much of an account one trade stakes."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading, Scope, Unit
from monitor.risk.margin import InitialMargin, initial_margin_of
from monitor.risk.worth import UnknownWorthError, Worth, worth_of
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold


class PositionSize(ThresholdRule):
    """Initial margin of one position / equity of the whole account, in dollars: what one trade stakes.

    Initial margin is notional / leverage as the venue counts it: a higher leverage binds less for the same danger,
    which the leverage rule sees. Where the venue tells neither margin nor leverage of a position (margined as a
    portfolio) there is no reading.
    """

    kind: Literal["position_size"] = "position_size"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "a trade that stakes a tenth can be wrong ten times; one that stakes half only twice"
    formula: ClassVar[str] = "initial margin / equity"
    is_standing: ClassVar[bool] = True

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        told = [(p, initial_margin_of(p)) for p in snapshot.positions if self.where.matches_position(p)]
        staked = [(position, margin) for position, margin in told if margin is not None]
        try:
            worth = worth_of(snapshot, context.markets)
        except UnknownWorthError as unknown:
            return tuple(self._reading(name, context, position, None, {"why": str(unknown)}) for position, _ in staked)
        return tuple(self._judge(name, position, margin, worth, context) for position, margin in staked)

    def _judge(self, name: str, position: Position, margin: InitialMargin, worth: Worth, context: Context) -> Reading:
        staked = margin.amount * abs(worth.notionals[position.subject]) / position.notional
        inputs = {
            "initial_margin": staked,
            "initial_margin_basis": margin.basis,
            "equity": worth.equity,
            "currency": "USD",
            "leverage": position.leverage,
            "base": position.instrument.base,
        }
        # Equity that is gone is past any share.
        value = staked / worth.equity if worth.equity > 0 else None
        reading = self._reading(name, context, position, value, inputs, is_beyond=value is None)
        return self.with_remedy(reading, lambda: self._remedy(position, staked, worth.equity))

    def _reading(
        self,
        name: str,
        context: Context,
        position: Position,
        value: float | None,
        inputs: dict[str, Any],
        *,
        is_beyond: bool = False,
    ) -> Reading:
        return self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.POSITION,
            subject=position.subject,
            value=value,
            unit=Unit.RATIO,
            inputs=inputs,
            levels=self.all_breached() if is_beyond else None,
        )

    def _remedy(self, position: Position, staked: float, equity: float) -> dict[str, Any]:
        """Exact: what is staked is linear in size, and closing at the mark leaves the equity as it is."""
        found: dict[str, Any] = {"add_collateral": staked / self.goal - equity}
        if equity > 0:
            share = 1 - self.goal * equity / staked
            found |= {"cut_share": share, "cut_size": position.size * share}
        return found

"""collateral: whether what should be a dollar still is one."""

from typing import Any, ClassVar, Literal

from monitor.domain.account import Collateral
from monitor.domain.reading import Reading, Scope
from monitor.risk.collateral import Peg, falling_share, pegs_of
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold


class CollateralPeg(ThresholdRule):
    """How far a stablecoin that an account is margined in is off one dollar, by the venue's own price of it.

    Where the venue tells none, by the mark of the coin's own perpetual there, which is told in another stablecoin: then
    either of the two may be off. Where there is neither there is no reading. Below a dollar the margin shrinks while no
    position moves; above it what is owed in the coin grows.
    """

    kind: Literal["collateral"] = "collateral"
    warning: Threshold | None = None
    critical: Threshold | None = None

    # A coin may stay off its dollar for days.
    min_repeat_s: ClassVar[float] = 3600.0

    why: ClassVar[str] = (
        "on 10 October 2025 USDe stood at 0.65 on one venue, and took accounts that no move had touched"
    )
    formula: ClassVar[str] = "how far the coin price is off 1"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        positions = [position for position in snapshot.positions if self.where.matches_position(position)]
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        if self.where.names_positions and not positions:
            return ()
        pegs = pegs_of(snapshot, context.markets, context.now, context.market_max_age)
        return tuple(self._judge(name, peg, context) for peg in pegs)

    def _judge(self, name: str, peg: Peg, context: Context) -> Reading:
        held = peg.held
        inputs: dict[str, Any] = {
            "coin": held.coin,
            "coin_price": held.price,
            "origin": peg.origin,
            "amount": held.amount,
            "haircut_share": held.haircut,
        }
        reading = self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.ACCOUNT,
            subject=held.coin,
            value=peg.off,
            inputs=inputs,
        )
        return self.with_remedy(reading, lambda: self._remedy(held, context))

    def _remedy(self, held: Collateral, context: Context) -> dict[str, Any]:
        """In words: what a coin off its dollar fetches when it is sold is for its owner to see."""
        found: dict[str, Any] = {"falling_share": falling_share(context.snapshot, context.markets)}
        if held.price < 1:
            found["advice"] = "add margin in another coin: this one backs less as it falls"
        else:
            found["advice"] = "look at what is owed in it: that grows while the coin is above a dollar"
        return found

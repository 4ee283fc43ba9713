"""drawdown: how far an account has fallen from its peak of the day, of the week, or of all time."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.domain.fund import Fund, Window
from monitor.domain.reading import Need, Reading, Scope
from monitor.risk.worth import UnknownWorthError
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold

# Who has lost all, or owes more, has nothing left that a warning could save.
_Threshold = Annotated[Threshold, Field(lt=1)]

OPEN = "close or halve what is open: neither collateral nor a larger position brings a loss back"
FLAT = "open nothing before the window is over: what is lost is not won back in haste"


class Drawdown(ThresholdRule):
    """(Peak - now) / peak of the account's equity in dollars since the window began, transfers left out.

    Equity counts with unrealised PnL, as of the reads. A day is one of UTC, a week begins on Monday. Transfers are the
    venue's records'. Where equity changed by more than PnL, funding and fees explain, every window is unknown until the
    records say whether that was a transfer; where they never tell transfers, until it begins anew, all time with the
    next week. One rule watches one window: give the second another name.
    """

    kind: Literal["drawdown"] = "drawdown"
    warning: _Threshold | None = None
    critical: _Threshold | None = None
    window: Window = Field(default=Window.DAY, description="since when the peak counts, in UTC")

    why: ClassVar[str] = "after a loss of 50 % a gain of 100 % is needed; who stops for the day cannot lose the month"
    subjects_by: ClassVar[tuple[str, ...]] = ("window",)
    formula: ClassVar[str] = "(peak equity - equity) / peak equity, net of transfers"
    # What was lost stays lost until the window is over: every five minutes would be noise.
    min_repeat_s = 3600.0

    @model_validator(mode="after")
    def _of_the_whole(self) -> Self:
        if self.where.names_positions:
            raise ValueError("drawdown is of a whole account: where may name account and venue alone")
        return self

    @property
    def needs(self) -> frozenset[Need]:
        """The venue's records of transfers."""
        return frozenset({Need.LEDGER})

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        value, inputs = self._drawdown(context)
        reading = self.reading(
            name=name,
            account=snapshot.account,
            scope=Scope.ACCOUNT,
            # One rule may watch the day and another the week of the same account.
            subject=str(self.window),
            value=value,
            inputs={"window": str(self.window), "currency": "USD", **inputs},
        )
        return (self.with_remedy(reading, lambda: {"advice": OPEN if snapshot.positions else FLAT}),)

    def _drawdown(self, context: Context) -> tuple[float | None, dict[str, Any]]:
        try:
            equity = context.worth.equity
        except UnknownWorthError as unknown:
            return None, {"why": str(unknown)}
        if context.track is None:
            return None, {"equity": equity, "why": "no peak is remembered of this account"}
        fund = context.track.fund
        return (0.0, {"equity": equity}) if fund is None else _of_fund(fund, self.window)


def _of_fund(fund: Fund, window: Window) -> tuple[float | None, dict[str, Any]]:
    peak, equity = fund.peaks[window], fund.equity.total
    inputs: dict[str, Any] = {"equity": equity, "since": peak.since.isoformat()}
    if peak.why is not None:
        return None, {**inputs, "why": peak.why}
    if peak.price <= 0:
        # The window began with nothing, so nothing was lost in it.
        return 0.0, inputs
    return 1 - fund.price / peak.price, {
        **inputs,
        "peak_equity": peak.price * fund.units,
        "peak_at": peak.at.isoformat(),
        "lost": peak.price * fund.units - equity,
    }

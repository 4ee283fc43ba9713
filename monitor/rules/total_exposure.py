"""total_exposure: how many times their equity all accounts hold together."""

from typing import ClassVar, Literal

from monitor.domain.reading import PORTFOLIO, Reading, Unit
from monitor.rules.base import CHOSEN_REPEAT_S, Portfolio, ThresholdRule
from monitor.rules.quantities import LeverageThreshold
from monitor.rules.together import UnknownSumError, counting, equity_of, gross_by, held_by


class TotalExposure(ThresholdRule):
    """Notional of all positions of all accounts / equity of all accounts, in dollars; both sides of a hedge count.

    It speaks where two accounts or more hold positions: of one, leverage says the same. Equity in another account
    saves nothing from liquidation: this is what all that is owned stands for, not which account is near its end.
    """

    kind: Literal["total_exposure"] = "total_exposure"
    warning: LeverageThreshold | None = None
    critical: LeverageThreshold | None = None

    min_repeat_s: ClassVar[float] = CHOSEN_REPEAT_S
    unit: ClassVar[Unit] = Unit.LEVERAGE
    why: ClassVar[str] = "a cap per account is none on the whole: what falls together is lost together"
    formula: ClassVar[str] = "gross notional / equity, over all that is watched"

    def evaluate_portfolio(self, name: str, portfolio: Portfolio) -> tuple[Reading, ...]:
        accounts = portfolio.narrowed(self.where)
        if accounts.size < 2:
            return ()
        try:
            held, equity = held_by(accounts, self.where), equity_of(accounts)
        except UnknownSumError as unknown:
            return (self.of_portfolio(name, PORTFOLIO, None, unknown.inputs),)
        by_account = gross_by(lambda one: one.account, held)
        gross = sum(by_account.values())
        # Equity that is gone is past any leverage.
        value = 0.0 if gross == 0 else gross / equity if equity > 0 else None
        levels = self.all_breached() if value is None else None
        inputs = {
            "gross_notional": gross,
            "net_notional": sum(one.notional for one in held),
            "equity": equity,
            "currency": "USD",
            "accounts": accounts.size,
            "largest_account": next(iter(by_account), None),
            "largest_notional": next(iter(by_account.values()), None),
        }
        if counting(by_account) < 2:
            levels = self.all_clear()
            inputs["held_by"] = next(iter(by_account), None)
        reading = self.of_portfolio(name, PORTFOLIO, value, inputs, levels)
        return (self.with_remedy(reading, lambda: self.remedy_of_equity(gross, equity)),)

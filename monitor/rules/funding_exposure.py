"""funding_exposure: what holding the positions costs, as a share of equity per day at the current rates."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Reading, Scope, Unit
from monitor.rules.base import Context, ThresholdRule
from monitor.rules.quantities import Threshold

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Payment:
    """One position's next payment in settle units; above 0 the position pays."""

    position: Position
    amount: float
    per_day: float
    interval: timedelta
    next_at: datetime | None


class FundingExposure(ThresholdRule):
    """Net funding paid per day / equity, per settlement currency; receipts offset payments and never alert.

    payment = side * rate * notional every funding interval; per day = payment * 24 h / interval.
    """

    kind: Literal["funding_exposure"] = "funding_exposure"
    warning: Threshold | None = None
    critical: Threshold | None = None

    unit: ClassVar[Unit] = Unit.RATIO_PER_DAY
    why: ClassVar[str] = (
        "funding is charged on the notional: leverage multiplies it, and a crowded trade pays for weeks"
    )
    formula: ClassVar[str] = "per day / equity"

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        snapshot = context.snapshot
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        currencies = {margin.pool: margin.currency for margin in snapshot.margins}
        by_currency: dict[str, list[Position]] = {}
        for position in snapshot.positions:
            if self.where.matches_position(position):
                currency = currencies.get(position.pool, position.instrument.settle)
                by_currency.setdefault(currency, []).append(position)
        return tuple(self._judge(name, currency, positions, context) for currency, positions in by_currency.items())

    def _judge(self, name: str, currency: str, positions: list[Position], context: Context) -> Reading:
        payments = [_payment(position, context) for position in positions]
        equities = [m.equity for m in context.snapshot.margins if m.currency == currency]
        known = [payment for payment in payments if payment is not None]
        value, inputs, levels = None, dict[str, Any](currency=currency), None
        if len(known) < len(payments):
            missing = [p.instrument.symbol for p, payment in zip(positions, payments, strict=True) if payment is None]
            inputs["why"] = f"no fresh funding rate or interval for {', '.join(sorted(set(missing)))}"
        elif not equities or None in equities:
            inputs["why"] = f"the equity in {currency} is not known"
        else:
            equity = sum(equity for equity in equities if equity is not None)
            per_day = max(0.0, sum(payment.per_day for payment in known))
            inputs |= _explained(known, equity, per_day)
            value = per_day / equity if equity > 0 else None
            levels = self.all_breached() if value is None and per_day > 0 else self.levels(value or 0.0)
        reading = self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.ACCOUNT,
            subject=currency,
            value=value,
            inputs=inputs,
            levels=levels,
        )
        return self.with_remedy(reading, lambda: self._remedy_inputs(reading))

    def _remedy_inputs(self, reading: Reading) -> dict[str, Any]:
        """The exposure is linear in size, so the cut is exact. Collateral would lower the ratio, not what is paid."""
        return {} if reading.value is None else {"cut_share": 1 - self.goal / reading.value}


def _payment(position: Position, context: Context) -> _Payment | None:
    state = context.markets.get(position.instrument.symbol)
    funding = state.funding if state is not None else None
    if funding is None or not funding.value.interval or not context.is_fresh(funding.observed_at):
        return None
    amount = position.side.sign * funding.value.rate * position.notional * position.pool_rate
    interval = funding.value.interval
    return _Payment(position, amount, amount * (_DAY / interval), interval, funding.value.next_at)


def _explained(payments: list[_Payment], equity: float, per_day: float) -> dict[str, Any]:
    worst = max(payments, key=lambda payment: payment.per_day)
    upcoming = [payment.next_at for payment in payments if payment.next_at is not None]
    next_at = min(upcoming, default=None)
    due = [payment.amount for payment in payments if payment.next_at == next_at]
    return {
        "equity": equity,
        "per_day": per_day,
        "annualised": per_day * 365 / equity if equity > 0 else None,
        "next_payment": sum(due) if next_at is not None else None,
        "next_payment_at": next_at.isoformat() if next_at is not None else None,
        "worst_symbol": worst.position.instrument.symbol,
        "interval_h": worst.interval / timedelta(hours=1),
    }

"""funding_exposure: what holding the positions costs, as a share of equity per day at the current rates."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from monitor.domain.account import Position
from monitor.domain.reading import Need, Reading, Scope, Unit
from monitor.risk.booked import funding_booked
from monitor.rules.base import STANDING_REPEAT_S, Context, ThresholdRule
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

    payment = side * rate * notional every funding interval; per day = payment * 24 h / interval. Beside it stands what
    the venue booked in the last seven days, which no alert is made of: rates of tomorrow are not those of last week.
    """

    kind: Literal["funding_exposure"] = "funding_exposure"
    warning: Threshold | None = None
    critical: Threshold | None = None

    unit: ClassVar[Unit] = Unit.RATIO_PER_DAY
    why: ClassVar[str] = (
        "funding is charged on the notional: leverage multiplies it, and a crowded trade pays for weeks"
    )
    formula: ClassVar[str] = "per day / equity"
    # A rate holds for hours, and is paid a few times a day.
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.LEDGER})

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
            inputs |= _buffer(context, currency, equity, per_day) | self._paid(context, currency, positions, equity)
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

    def _paid(self, context: Context, currency: str, positions: list[Position], equity: float) -> dict[str, Any]:
        """Below 0 where more was received."""
        symbols = {position.instrument.symbol for position in positions} if self.where.names_positions else None
        booked = funding_booked(context.snapshot, context.markets, context.now, currency, symbols)
        if booked is None:
            return {}
        return {
            "paid": -booked.amount,
            "paid_since": booked.since.isoformat(),
            "paid_share": -booked.amount / equity if equity > 0 else None,
        }

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


def _buffer(context: Context, currency: str, equity: float, per_day: float) -> dict[str, Any]:
    """In how many days payments as of now eat what equity is above maintenance, all else unchanged."""
    owed = [m.maintenance_margin for m in context.snapshot.margins if m.currency == currency]
    if per_day <= 0 or None in owed:
        return {}
    buffer = equity - sum(amount for amount in owed if amount is not None)
    return {"buffer": buffer, "days_left": max(0.0, buffer) / per_day}


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

"""What the rules must say of one read, worked out anew from its figures: verdicts by key, None where it is unknown."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import AccountSnapshot, MarginBalance, Position
from monitor.domain.market import Markets
from monitor.domain.reading import AlertKey, Scope
from monitor.plan import AccountPlan
from tests.simulation.oracle import BREACH, CLEAR, CRITICAL, HOLD, WARNING

Verdicts = Mapping[int, str] | None
Limits = list[tuple[int, float]]

BAND = 0.1
FUNDING_MAX_AGE = timedelta(minutes=5)
GONE = float("inf")


def verdicts_of(
    plan: AccountPlan, snapshot: AccountSnapshot, markets: Markets, now: datetime
) -> Iterator[tuple[AlertKey, Verdicts]]:
    unknown = False
    for name, rule in plan.rules.items():
        for key, verdicts in _judged(name, rule, snapshot, markets, now):
            unknown = unknown or verdicts is None
            yield key, verdicts
    yield AlertKey("unassessed", plan.name, Scope.ACCOUNT, plan.name), {WARNING: BREACH if unknown else CLEAR}


def _judged(
    name: str, rule: Any, snapshot: AccountSnapshot, markets: Markets, now: datetime
) -> Iterator[tuple[AlertKey, Verdicts]]:
    account = snapshot.account
    match rule.kind:
        case "margin_ratio":
            limits = _limits(rule)
            for margin in snapshot.margins:
                yield AlertKey(name, account, Scope.POOL, margin.pool), _rising(limits, _ratio(margin))
        case "liquidation_distance":
            limits = _limits(rule)
            for position in snapshot.positions:
                key = AlertKey(name, account, Scope.POSITION, position.subject)
                yield key, _falling(limits, _distance(position))
        case "funding_exposure":
            if snapshot.positions:
                key = AlertKey(name, account, Scope.ACCOUNT, "USDT")
                yield key, _rising(_limits(rule), _funding(snapshot, markets, now))
        case other:
            raise AssertionError(f"no judge for {other}")


def _rising(limits: Limits, value: float | None) -> Verdicts:
    return (
        None
        if value is None
        else {
            severity: BREACH if value >= limit else HOLD if value > limit * (1 - BAND) else CLEAR
            for severity, limit in limits
        }
    )


def _falling(limits: Limits, value: float | None) -> Verdicts:
    return (
        None
        if value is None
        else {
            severity: BREACH if value <= limit else HOLD if value < limit * (1 + BAND) else CLEAR
            for severity, limit in limits
        }
    )


def _limits(rule: Any) -> Limits:
    return [(s, limit) for s, limit in ((WARNING, rule.warning), (CRITICAL, rule.critical)) if limit is not None]


def _ratio(margin: MarginBalance) -> float | None:
    if margin.equity is None or margin.maintenance_margin is None:
        return None
    if margin.maintenance_margin == 0:
        return 0.0 if margin.equity >= 0 else None
    return margin.maintenance_margin / margin.equity if margin.equity > 0 else GONE


def _distance(position: Position) -> float:
    """No price that liquidates is as far as can be."""
    if position.liquidation_price is None:
        return GONE
    return position.side.sign * (position.mark_price - position.liquidation_price) / position.mark_price


def _funding(snapshot: AccountSnapshot, markets: Markets, now: datetime) -> float | None:
    paid = 0.0
    for position in snapshot.positions:
        funding = markets[position.instrument.symbol].funding
        if funding is None or not funding.value.interval or now - funding.observed_at > FUNDING_MAX_AGE:
            return None
        a_day = timedelta(days=1) / funding.value.interval
        paid += position.side.sign * funding.value.rate * position.notional * a_day
    equity = sum(margin.equity or 0.0 for margin in snapshot.margins)
    if equity <= 0:
        return GONE if paid > 0 else 0.0
    return max(0.0, paid) / equity

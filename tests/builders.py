"""Builders: each gives a plausible whole, of which a test names only what it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from monitor.domain.account import (
    AccountSnapshot,
    Instrument,
    MarginBalance,
    MarginMode,
    Position,
    PriceOrigin,
    Side,
)
from monitor.domain.alert import Alert, AlertPolicy, LevelPolicy
from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.domain.market import FundingRate, MarketState, Observed, Tier, Tiers
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.domain.study import Study
from monitor.rules.base import Rule
from monitor.rules.book import AnyRule

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[2] / "shared"

needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the folder of recorded market data and venue replies is not beside the checkout"
)

_RULE: TypeAdapter[Any] = TypeAdapter(AnyRule)


def at(seconds: float) -> datetime:
    """That long after noon."""
    return NOON + timedelta(seconds=seconds)


def an_instrument(symbol: str = "BTC/USDT:USDT", **changes: Any) -> Instrument:
    base, rest = symbol.split("/")
    quote, settle = rest.split(":")
    inverse = settle == base
    given = Instrument(
        venue="binancecoinm" if inverse else "binanceusdm",
        symbol=symbol,
        base=base,
        quote=quote,
        settle=settle,
        contract_size=100.0 if inverse else 1.0,
        inverse=inverse,
    )
    return replace(given, **changes)


def a_booking(
    name: str = "one",
    moment: datetime = NOON,
    *,
    kind: EntryKind = EntryKind.FUNDING,
    amount: float = -1.0,
    **changes: Any,
) -> Entry:
    return replace(Entry(id=name, at=moment, kind=kind, currency="USDT", amount=amount), **changes)


def a_ledger(
    *entries: Entry, since: datetime | None = None, until: datetime | None = None, untold: Iterable[EntryKind] = ()
) -> Ledger:
    """Of the week before noon, where no other time is named."""
    return Ledger(
        since=since or NOON - timedelta(days=7), until=until or NOON, entries=entries, untold=frozenset(untold)
    )


def flat_tiers(rate: float) -> Tiers:
    return (Tier(0.0, 1e12, rate, 0.0),)


def a_position(
    *,
    symbol: str = "BTC/USDT:USDT",
    side: Side = Side.LONG,
    contracts: float = 1.0,
    mark_price: float = 100.0,
    entry_price: float | None = None,
    rate: float = 0.004,
    **changes: Any,
) -> Position:
    """A cross position whose maintenance margin is `rate` of its notional."""
    instrument = an_instrument(symbol)
    notional = instrument.notional(contracts, mark_price)
    entry = mark_price if entry_price is None else entry_price
    given = Position(
        instrument=instrument,
        side=side,
        pool=f"cross:{instrument.settle}",
        contracts=contracts,
        size=notional if instrument.inverse else contracts * instrument.contract_size,
        notional=notional,
        entry_price=entry,
        mark_price=mark_price,
        margin_mode=MarginMode.CROSS,
        maintenance_margin=notional * rate,
        unrealized_pnl=instrument.pnl(side, contracts, entry, mark_price),
        liquidation_price_origin=PriceOrigin.UNKNOWN,
    )
    return replace(given, **changes)


def a_snapshot(
    *positions: Position,
    equity: float | None = 1000.0,
    account: str = "main",
    other_maintenance: float = 0.0,
    observed_at: datetime = NOON,
    **changes: Any,
) -> AccountSnapshot:
    """An account whose every pool has that equity, and the maintenance of its positions plus `other_maintenance`."""
    pools = dict.fromkeys([p.pool for p in positions] or ["cross:USDT"])
    margins = []
    for pool in pools:
        members = [p for p in positions if p.pool == pool]
        owed = [p.maintenance_margin for p in members]
        maintenance = None if None in owed else sum(m for m in owed if m is not None) + other_maintenance
        currency = members[0].instrument.settle if members else "USDT"
        margins.append(MarginBalance(pool=pool, currency=currency, equity=equity, maintenance_margin=maintenance))
    given = AccountSnapshot(
        account=account,
        venue=positions[0].instrument.venue if positions else "binanceusdm",
        observed_at=observed_at,
        margins=tuple(margins),
        positions=positions,
    )
    return replace(given, **changes)


def a_market(
    symbol: str = "BTC/USDT:USDT",
    *,
    tiers: Tiers | None = None,
    study: Study | None = None,
    rate: float | None = None,
    interval: timedelta | None = timedelta(hours=8),
    observed_at: datetime = NOON,
) -> dict[str, MarketState]:
    """One symbol's public data; `rate` is the funding rate."""
    instrument = an_instrument(symbol)
    funding = None
    if rate is not None:
        value = FundingRate(
            instrument=instrument, rate=rate, interval=interval, next_at=at(4 * 3600), origin="premiumIndex"
        )
        funding = Observed(value, observed_at)
    state = MarketState(
        instrument=instrument,
        funding=funding,
        tiers=Observed(tiers, observed_at) if tiers is not None else None,
        study=Observed(study, observed_at) if study is not None else None,
    )
    return {symbol: state}


def a_rule(kind: str, **keys: Any) -> Rule:
    """A rule as the YAML writes it: `a_rule("margin_ratio", warning="50%")`."""
    rule = _RULE.validate_python({"kind": kind, **keys})
    assert isinstance(rule, Rule)
    return rule


A_KEY = AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT")


def an_alert(**changes: Any) -> Alert:
    return replace(Alert(key=A_KEY), **changes)


def a_policy(
    *,
    warning_for_s: float = 30.0,
    critical_for_s: float = 0.0,
    keep_firing_for_s: float = 300.0,
    repeat_s: Mapping[Severity, float | None] | None = None,
) -> AlertPolicy:
    repeats = {Severity.INFO: None, Severity.WARNING: 4 * 3600.0, Severity.CRITICAL: 300.0} | dict(repeat_s or {})
    waits = {Severity.INFO: 120.0, Severity.WARNING: warning_for_s, Severity.CRITICAL: critical_for_s}
    return AlertPolicy(
        {
            severity: LevelPolicy(
                for_s=waits[severity],
                keep_firing_for_s=keep_firing_for_s,
                group_wait_s=0.0 if severity is Severity.CRITICAL else 30.0,
                repeat_s=repeats[severity],
            )
            for severity in Severity
        }
    )


def a_reading(warning: Verdict, critical: Verdict | None = None, value: float | None = 0.5, **changes: Any) -> Reading:
    """A reading of A_KEY; critical is CLEAR where it is not named, UNKNOWN where warning is."""
    if critical is None:
        critical = Verdict.UNKNOWN if warning is Verdict.UNKNOWN else Verdict.CLEAR
    given = Reading(
        key=A_KEY,
        levels=(Level(Severity.WARNING, warning, 0.5), Level(Severity.CRITICAL, critical, 0.8)),
        value=None if warning is Verdict.UNKNOWN else value,
        unit=Unit.RATIO,
    )
    return replace(given, **changes)

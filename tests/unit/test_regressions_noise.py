"""Once noise: what stands for days, and what flickers about a threshold, with waits and repeats as shipped."""

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.alert import Reason, advance, notified, reason_to_notify
from monitor.domain.reading import Scope, Severity
from monitor.rules.base import ThresholdRule
from tests.builders import an_alert, at
from tests.unit.config_kit import MINIMAL, read


@pytest.mark.parametrize(
    ("alerts", "repeat_s", "standing_s"),
    [
        ("{}", 4 * 3600.0, 24 * 3600.0),
        ("{warning: {repeat: 1h}}", 3600.0, 24 * 3600.0),
        ("{warning: {repeat: 3d}}", 3 * 86400.0, 3 * 86400.0),
        ("{warning: {repeat: never}}", None, None),
    ],
)
def test_a_warning_of_what_may_last_for_days_is_told_once_a_day(
    alerts: str, repeat_s: float | None, standing_s: float | None
) -> None:
    config = read(f"{MINIMAL}alerts: {alerts}\n")
    told = {kind: config.alerts.policy_for(rule).of(Severity.WARNING).repeat_s for kind, rule in config.rules.items()}
    assert {kind for kind, each_s in told.items() if each_s == repeat_s} >= {"margin_ratio", "liquidation_distance"}
    standing = {"volatility_leverage", "exit_liquidity", "common_shock", "trailing_stop", "collateral", "leverage"}
    assert {told[kind] for kind in standing} == {standing_s}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("kind", "low", "high", "each_s"),
    [
        ("exit_liquidity", 0.055, 0.14, 60),
        # Thin for minutes, and as before for half an hour.
        ("exit_liquidity", 0.03, 0.14, 360),
        ("collateral", 0.0042, 0.0052, 600),
        ("collateral", 0.0035, 0.0052, 1800),
    ],
)
def test_what_flickers_about_its_warning_for_a_day_is_told_once(
    profile: str, kind: str, low: float, high: float, each_s: int
) -> None:
    settings = read(f"profile: {profile}\n{MINIMAL}")
    rule, policy = settings.rules[kind], settings.alerts.policy_for(settings.rules[kind])
    assert isinstance(rule, ThresholdRule)
    alert, told = an_alert(), list[tuple[Reason, Severity | None]]()
    for seconds in range(0, 86_400, 10):
        value = high if seconds // each_s % 2 else low
        reading = rule.reading(
            name=alert.key.rule, account="main", scope=Scope.POOL, subject=alert.key.subject, value=value, inputs={}
        )
        alert = advance(alert, reading, policy, at(seconds))
        reason = reason_to_notify(alert, policy, at(seconds))
        if reason is not None:
            told.append((reason, alert.severity))
            alert = notified(alert, reason, at(seconds))
    assert told == [(Reason.FIRST, Severity.WARNING)]

"""The rules a monitor starts from, per kind of trader, as they would be written in YAML.

A configuration without rules is a safe one: these apply. The figures are starting points for three styles: a beginner
at up to 3x, a retail trader at 5x, and a professional at up to 20x with cross margin and hedges.
"""

from collections.abc import Mapping
from types import MappingProxyType

BEGINNER, RETAIL, PROFESSIONAL = "beginner", "retail", "professional"
DEFAULT_PROFILE = RETAIL
Keys = Mapping[str, str | Mapping[str, str]]


def _thresholds(warning: str | None, critical: str | None = None, for_: str | Mapping[str, str] | None = None) -> Keys:
    given = {"warning": warning, "critical": critical, "for": for_}
    return {key: value for key, value in given.items() if value is not None}


# A book is one picture a minute, in which makers come and go: what counts is what three of them show, and what stays.
_EXIT: Keys = {
    **_thresholds("10%", "25%", for_={"warning": "5m", "critical": "2m"}),
    "hysteresis": "50%",
    "keep_firing_for": {"warning": "1h", "critical": "15m"},
}
# A coin that hovers about a threshold is one state, and not one an hour.
_PEG: Keys = {**_thresholds("0.5%", "2%"), "hysteresis": "20%", "keep_firing_for": {"warning": "1h"}}
# What was passed is not taken back by the bounce of an hour.
_IN_ATR: Keys = {**_thresholds("2 ATR", "3 ATR"), "hysteresis": "25%"}

# By kind: what beginner, retail and professional start from.
_RULES: Mapping[str, tuple[Keys, Keys, Keys]] = {
    "margin_ratio": (_thresholds("15%", "30%"), _thresholds("20%", "40%"), _thresholds("40%", "65%")),
    "liquidation_distance": (
        _thresholds("20%", "10%"),
        _thresholds("12%", "6%"),
        {**_thresholds("3%", "1.5%"), "warning_sigmas": "2 sigma", "critical_sigmas": "1 sigma"},
    ),
    "common_shock": (_thresholds("25%", "12%"), _thresholds("15%", "8%"), _thresholds("8%", "4%")),
    "leverage": (_thresholds("3x", "5x"), _thresholds("5x", "7x"), _thresholds("20x", "25x")),
    "volatility_leverage": (_thresholds("5%", "8%"), _thresholds("8%", "12%"), _thresholds("15%", "25%")),
    # What is spread over accounts and coins is no emergency by itself: each account's own rules page for what it does.
    "total_exposure": (_thresholds("3x"), _thresholds("5x"), _thresholds("20x")),
    "position_size": (_thresholds("5%", "10%"), _thresholds("10%", "15%"), _thresholds("25%", "50%")),
    "concentration": (_thresholds("60%"), _thresholds("60%"), _thresholds("60%")),
    "correlated_exposure": (_thresholds("10%"), _thresholds("20%"), _thresholds("50%")),
    # Time to unwind both sides is the rule's own; a warning has another few minutes for who trades around a hedge.
    "hedge": (
        _thresholds("10%", "25%", for_={"warning": "3m"}),
        _thresholds("10%", "25%", for_={"warning": "3m"}),
        _thresholds("5%", "15%", for_={"warning": "3m"}),
    ),
    "loss": (_thresholds("10%", "20%"), _thresholds("20%", "40%"), _thresholds("40%", "70%")),
    "adl_rank": (_thresholds("4", "5"), _thresholds("4", "5"), _thresholds("4", "5")),
    "tier_cliff": (_thresholds("5%"), _thresholds("5%"), _thresholds("5%")),
    "exit_liquidity": (_EXIT, _EXIT, _EXIT),
    "collateral": (_PEG, _PEG, _PEG),
    # A beginner's is in percent, which needs nothing explained.
    "trailing_stop": ({**_thresholds("3%", "5%"), "hysteresis": "25%"}, _IN_ATR, _IN_ATR),
    "drawdown": (_thresholds("1%", "1.5%"), _thresholds("1.5%", "2%"), _thresholds("4%", "8%")),
    # Who opens a position places its stop behind it.
    "stop_missing": (
        _thresholds(None, "any", for_="30s"),
        _thresholds("any", "any", for_={"critical": "15m"}),
        _thresholds("any"),
    ),
    "funding_exposure": (_thresholds("0.15%", "0.5%"), _thresholds("0.3%", "1%"), _thresholds("0.5%", "2%")),
}

PROFILES: Mapping[str, Mapping[str, Keys]] = MappingProxyType(
    {
        profile: MappingProxyType({kind: MappingProxyType(dict(keys[index])) for kind, keys in _RULES.items()})
        for index, profile in enumerate((BEGINNER, RETAIL, PROFESSIONAL))
    }
)

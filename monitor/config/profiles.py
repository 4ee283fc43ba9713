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


def _hovering(warning: str, critical: str | None = None, hysteresis: str | None = None) -> Keys:
    """Of what moves with prices and may last for days: one that hovers about its warning is one state, and not one an
    hour."""
    own = {} if hysteresis is None else {"hysteresis": hysteresis}
    return {**_thresholds(warning, critical), **own, "keep_firing_for": {"warning": "1h"}}


# A book is one picture a minute, in which makers come and go: what counts is what three of them show, and what stays.
_EXIT: Keys = {
    **_thresholds("10%", "25%", for_={"warning": "5m", "critical": "2m"}),
    "hysteresis": "50%",
    "keep_firing_for": {"warning": "1h", "critical": "15m"},
}
_PEG = _hovering("0.5%", "2%", "20%")
# What was passed is not taken back by the bounce of an hour.
_IN_ATR = _hovering("2 ATR", "3 ATR", "25%")

# By kind: what beginner, retail and professional start from.
_RULES: Mapping[str, tuple[Keys, Keys, Keys]] = {
    "margin_ratio": (_thresholds("15%", "30%"), _thresholds("20%", "40%"), _thresholds("40%", "65%")),
    "liquidation_distance": (
        _thresholds("20%", "10%"),
        _thresholds("12%", "6%"),
        {**_thresholds("3%", "1.5%"), "warning_sigmas": "2 sigma", "critical_sigmas": "1 sigma"},
    ),
    "common_shock": (_thresholds("25%", "12%"), _thresholds("15%", "8%"), _thresholds("8%", "4%")),
    "leverage": (_hovering("3x", "5x"), _hovering("5x", "7x"), _hovering("20x", "25x")),
    "volatility_leverage": (_hovering("5%", "8%"), _hovering("8%", "12%"), _hovering("15%", "25%")),
    # What is spread over accounts and coins is no emergency by itself: each account's own rules page for what it does.
    "total_exposure": (_hovering("3x"), _hovering("5x"), _hovering("20x")),
    "position_size": (_hovering("5%", "10%"), _hovering("10%", "15%"), _hovering("25%", "50%")),
    "concentration": (_hovering("60%"), _hovering("60%"), _hovering("60%")),
    "correlated_exposure": (_hovering("10%"), _hovering("20%"), _hovering("50%")),
    # Time to unwind both sides is the rule's own; a warning has another few minutes for who trades around a hedge.
    "hedge": (
        _thresholds("10%", "25%", for_={"warning": "3m"}),
        _thresholds("10%", "25%", for_={"warning": "3m"}),
        _thresholds("5%", "15%", for_={"warning": "3m"}),
    ),
    "loss": (_hovering("10%", "20%"), _hovering("20%", "40%"), _hovering("40%", "70%")),
    "adl_rank": (_hovering("4", "5"), _hovering("4", "5"), _hovering("4", "5")),
    "tier_cliff": (_hovering("5%"), _hovering("5%"), _hovering("5%")),
    "exit_liquidity": (_EXIT, _EXIT, _EXIT),
    "collateral": (_PEG, _PEG, _PEG),
    # A beginner's is in percent, which needs nothing explained.
    "trailing_stop": (_hovering("3%", "5%", "25%"), _IN_ATR, _IN_ATR),
    # Where warning and critical are close, what swings between them and clears is the noise of an hour.
    "drawdown": (
        _hovering("1%", "1.5%", "25%"),
        _hovering("1.5%", "2%", "25%"),
        _hovering("4%", "8%", "25%"),
    ),
    # Who opens a position places its stop behind it.
    "stop_missing": (
        _thresholds(None, "any", for_="30s"),
        _thresholds("any", "any", for_={"critical": "15m"}),
        _thresholds("any"),
    ),
    "funding_exposure": (_hovering("0.15%", "0.5%"), _hovering("0.3%", "1%"), _hovering("0.5%", "2%")),
}

PROFILES: Mapping[str, Mapping[str, Keys]] = MappingProxyType(
    {
        profile: MappingProxyType({kind: MappingProxyType(dict(keys[index])) for kind, keys in _RULES.items()})
        for index, profile in enumerate((BEGINNER, RETAIL, PROFESSIONAL))
    }
)

"""The rules a monitor starts from, per kind of trader, as they would be written in YAML.

A configuration without rules is a safe one: these apply. The figures are starting points for three styles: a beginner
at up to 3x, a retail trader at 5x, and a professional at up to 20x with cross margin and hedges.
"""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_PROFILE = "retail"


def _rules(
    margin_ratio: tuple[str, str], liquidation_distance: tuple[str, str], funding_exposure: tuple[str, str]
) -> Mapping[str, Mapping[str, str]]:
    given = {
        "margin_ratio": margin_ratio,
        "liquidation_distance": liquidation_distance,
        "funding_exposure": funding_exposure,
    }
    return MappingProxyType(
        {
            kind: MappingProxyType({"warning": warning, "critical": critical})
            for kind, (warning, critical) in given.items()
        }
    )


PROFILES: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "beginner": _rules(("15%", "30%"), ("20%", "10%"), ("0.15%", "0.5%")),
        "retail": _rules(("20%", "40%"), ("12%", "6%"), ("0.3%", "1%")),
        "professional": _rules(("40%", "65%"), ("3%", "1.5%"), ("0.5%", "2%")),
    }
)

"""What `perpwatch check` finds in a file that is good, and yet does not do what its owner may think."""

import pytest

from monitor.cli.check import offline_findings
from tests.unit.config_kit import MINIMAL, read


def found(level: str, about: str, yaml: str) -> list[str]:
    settings = read(MINIMAL + yaml)
    return [of.text for of in offline_findings(settings) if of.level == level and about in of.text]


@pytest.mark.parametrize(
    ("rules", "silent"),
    [
        ("{mine: {kind: margin_ratio, warning: 30%}}", {"margin_ratio": "mine"}),
        (
            "{one: {kind: loss, where: {side: long}}, two: {kind: loss, where: {side: long}, warning: 5%}}",
            {"one": "two"},
        ),
        ("{one: {kind: hedge, basket: [BTC, ETH]}, two: {kind: hedge, basket: [BTC, ETH]}}", {"one": "two"}),
        ("{mine: {kind: margin_ratio, where: {symbol: BTC/*}, warning: 30%}}", {}),
        ("{week: {kind: drawdown, window: week, warning: 5%, critical: 8%}}", {}),
        ("{one: {kind: take_profit, levels: [5%]}, two: {kind: take_profit, levels: [9%]}}", {}),
        ("{one: {kind: loss, where: {side: long}}, two: {kind: loss, where: {side: short}}}", {}),
    ],
)
def test_a_rule_that_another_one_for_the_same_always_speaks_for_is_told(rules: str, silent: dict[str, str]) -> None:
    assert found("warning", "is silent wherever", f"rules: {rules}\n") == [
        f"rule {name} is silent wherever {speaker} speaks, which is for the same: one is enough, or needs a where"
        for name, speaker in silent.items()
    ]

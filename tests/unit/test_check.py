"""What `perpwatch check` finds in a file that is good, and yet does not do what its owner may think."""

import pytest

from monitor.cli.check import offline_findings
from monitor.config.settings import AccountSettings
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


@pytest.mark.parametrize(
    ("repeats", "lines"),
    [
        (
            "{critical: {repeat: 1m}}",
            {"critical": ["1 min is", ": 1 h for ", "stop_missing; 4 h", "; 1 d for position_size"]},
        ),
        ("{critical: {repeat: 2h}, warning: {repeat: 6h}}", {"critical": ["hedge"], "warning": [": 1 d for ", "loss"]}),
        ("{critical: {repeat: 1d}, warning: {repeat: never}}", {}),
        ("{critical: {for: 10s}}", {}),
    ],
)
def test_a_repeat_that_is_shorter_than_the_least_of_some_rules_is_told_in_one_line(
    repeats: str, lines: dict[str, list[str]]
) -> None:
    told = found("", "too short", f"alerts: {repeats}\nrules: {{take_profit: {{levels: [5%]}}}}\n")
    assert {line.split(".")[1] for line in told} == set(lines)
    assert len(told) == len(lines)
    for line in told:
        assert all(words in line for words in lines[line.split(".")[1]]), line
        assert not {"margin_ratio", "take_profit"} & set(line.replace(",", "").split()), "repeated as the YAML says"


def test_the_repeats_of_the_house_are_told_as_no_contradiction() -> None:
    assert not found("", "too short", "")


@pytest.mark.parametrize(
    ("venue", "rule", "keys", "told"),
    [
        ("deribit", "adl_rank", "warning: 4", "deribit tells no adl rank: nothing is judged there"),
        ("deribit", "mine", "kind: adl_rank, warning: 4, where: {venue: binanceusdm}", None),
        ("okx", "adl_rank", "warning: 4", None),
        ("gate", "collateral", "warning: 1%", "gate tells no collateral prices: a coin is judged there by the mark"),
        ("phemex", "stop_missing", "warning: any", "phemex tells no stop orders: nothing is judged there"),
    ],
)
def test_a_rule_that_a_venue_tells_nothing_for_is_named_with_it(
    venue: str, rule: str, keys: str, told: str | None
) -> None:
    accounts = {"main": AccountSettings(venue="binanceusdm"), "other": AccountSettings(venue=venue)}
    settings = read(f"{MINIMAL}rules: {{{rule}: {{{keys}}}}}\n").model_copy(update={"accounts": accounts})
    lines = [of.text for of in offline_findings(settings) if not of.level and of.text.startswith(f"rule {rule}: ")]
    assert len(lines) == (told is not None)
    assert all(told in line for line in lines if told)

"""The example alerts of `perpwatch rules`: real readings, told as they would arrive."""

import pytest

from monitor.cli.rules_example import OWN_LEVELS, example_of
from monitor.config.profiles import DEFAULT_PROFILE, PROFILES
from monitor.rules.book import RULE_KINDS


@pytest.mark.parametrize("kind", PROFILES[DEFAULT_PROFILE])
def test_every_rule_of_the_default_profile_has_an_example_that_says_what_to_do(kind: str) -> None:
    example = example_of(kind)
    assert example is not None
    who = ("main", "portfolio")
    assert example.title.startswith(tuple(f"{word} {name}: " for word in ("WARNING", "CRITICAL") for name in who))
    assert "Do: " in example.body
    assert "unknown" not in example.title + example.body


def test_a_rule_of_no_profile_has_an_example_by_levels_that_its_owner_would_give() -> None:
    of_none = set(RULE_KINDS) - {kind for rules in PROFILES.values() for kind in rules}
    assert of_none == set(OWN_LEVELS)
    example = example_of("take_profit")
    assert example is not None
    assert example.title == "WARNING main: BTC/USDT:USDT long +5% reached, take-profit level"


def test_every_rule_says_why_it_matters_and_how_it_counts() -> None:
    for kind, rule in RULE_KINDS.items():
        for line in (rule.why, rule.formula):
            assert line, kind
            assert not line.endswith("."), kind
            assert "\n" not in line, kind

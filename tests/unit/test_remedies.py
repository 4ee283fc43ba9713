"""What alerts tell their owner to do, done on the paper exchange."""

from benchmarks.remedies import COLLATERAL, CUT, run
from monitor.config.profiles import PROFILES
from tests.builders import a_rule, needs_shared

# What is added and what is cut by each kind that says how much.
BOTH = {
    "margin_ratio",
    "liquidation_distance",
    "common_shock",
    "leverage",
    "volatility_leverage",
    "position_size",
}
CUT_ALONE = {"concentration", "tier_cliff", "funding_exposure"}


@needs_shared
def test_every_remedy_done_on_the_exchange_clears_its_rule_and_one_percent_less_does_not() -> None:
    rules = {kind: a_rule(kind, **PROFILES["retail"][kind]) for kind in BOTH | CUT_ALONE}
    tallies = run(2, 120, rules)
    assert {kind: tally.failed for kind, tally in tallies.items() if tally.failed} == {}
    assert {kind for kind, tally in tallies.items() if tally.tried[COLLATERAL]} == BOTH
    assert {kind for kind, tally in tallies.items() if tally.tried[CUT]} == BOTH | CUT_ALONE

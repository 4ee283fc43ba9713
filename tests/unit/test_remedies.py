"""What alerts tell their owner to do, done on the paper exchange."""

from benchmarks.remedies import COLLATERAL, CUT, STOP, run
from benchmarks.remedies_together import CUT_OTHER, RESTORE, TOGETHER, run_together
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
    "exit_liquidity",
}
CUT_ALONE = {"concentration", "tier_cliff", "funding_exposure"}
STOPS = {"stop_missing"}


@needs_shared
def test_every_remedy_done_on_the_exchange_clears_its_rule_and_one_percent_less_does_not() -> None:
    rules = {kind: a_rule(kind, **PROFILES["retail"][kind]) for kind in BOTH | CUT_ALONE | STOPS}
    tallies = run(2, 120, rules)
    assert {kind: tally.failed for kind, tally in tallies.items() if tally.failed} == {}
    assert {kind for kind, tally in tallies.items() if tally.tried[COLLATERAL]} == BOTH
    assert {kind for kind, tally in tallies.items() if tally.tried[CUT]} == BOTH | CUT_ALONE
    assert {kind for kind, tally in tallies.items() if tally.tried[STOP]} == STOPS


@needs_shared
def test_every_remedy_over_two_accounts_done_on_the_exchange_clears_its_rule_and_less_does_not() -> None:
    rules = {kind: a_rule(kind, **PROFILES["retail"][kind]) for kind in TOGETHER}
    tallies = run_together(2, 120, rules)
    assert {kind: tally.failed for kind, tally in tallies.items() if tally.failed} == {}
    assert {kind for kind, tally in tallies.items() if tally.tried[COLLATERAL]} == {
        "total_exposure",
        "correlated_exposure",
    }
    assert {kind for kind, tally in tallies.items() if tally.tried[CUT]} == set(TOGETHER) - {"hedge"}
    assert tallies["hedge"].tried[RESTORE] == tallies["hedge"].tried[CUT_OTHER] > 0

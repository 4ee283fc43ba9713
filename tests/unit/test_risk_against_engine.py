"""The monitor's risk arithmetic against the paper exchange: two that share no line of it come to the same figures."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.oracle_cases import Tally, compare, random_account, random_accounts, real_brackets
from monitor.risk.margin import maintenance
from tests.builders import needs_shared
from tests.paper import COIN_STEPS, STEPS

TWO_LISTS = {"BTC/USDT:USDT": STEPS, "ETH/USDT:USDT": COIN_STEPS}
KINDS = {
    f"{contract} {margin} {sides}"
    for contract in ("linear", "inverse")
    for margin in ("cross", "isolated")
    for sides in ("one-way", "hedge")
}


def failures(tallies: dict[str, Tally]) -> dict[str, Tally]:
    return {kind: tally for kind, tally in tallies.items() if not tally.holds}


@needs_shared
@pytest.mark.parametrize("seed", range(3))
def test_ratios_and_liquidation_prices_are_the_exchanges_own_on_random_accounts_with_real_brackets(seed: int) -> None:
    brackets = real_brackets()
    tallies: dict[str, Tally] = {}
    for account in random_accounts(seed, 100, brackets):
        compare(account, tallies)
    assert len(brackets) == 203
    assert set(tallies) == KINDS
    assert failures(tallies) == {}


@given(st.integers(0, 2**32))
@example(2140)  # an inverse long so small beside its pool that the liquidation price is a billionth of the mark
@settings(deadline=None)
def test_ratios_and_liquidation_prices_are_the_exchanges_own_whatever_the_account(seed: int) -> None:
    tallies: dict[str, Tally] = {}
    compare(random_account(Random(seed), TWO_LISTS), tallies)
    assert failures(tallies) == {}


@needs_shared
def test_random_accounts_meet_every_answer_the_exchange_can_give() -> None:
    tallies: dict[str, Tally] = {}
    for account in random_accounts(1, 100, real_brackets()):
        compare(account, tallies)
    assert set(tallies) == KINDS
    for tally in tallies.values():
        assert tally.positions > tally.no_price + tally.already
    for margin in ("cross", "isolated"):
        assert sum(tally.no_price for kind, tally in tallies.items() if margin in kind) > 0
        assert sum(tally.already for kind, tally in tallies.items() if margin in kind) > 0


def test_a_maintenance_margin_off_by_a_millionth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.oracle_cases.maintenance", lambda tiers, notional: maintenance(tiers, notional) * (1 + 1e-6)
    )
    tallies: dict[str, Tally] = {}
    for account in random_accounts(1, 50, TWO_LISTS):
        compare(account, tallies)
    assert set(failures(tallies)) == KINDS

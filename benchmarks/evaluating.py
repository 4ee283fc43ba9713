"""What the rules cost: `python -m benchmarks.evaluating` judges 1,000 accounts of ten positions by every rule there is.

Beside it stands what reading such an account costs, from the request to what is written, in CPU time of the same run.
Accounts are in good order, near their thresholds or past them, one third each: who has nothing to tell costs least.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from benchmarks.random_market import a_book, a_study
from benchmarks.reading import all_at_once, in_a_fresh_process
from benchmarks.rig import Bound, measured_on, print_table, venue, verdict
from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot, MarginMode, Position, Side
from monitor.domain.market import FundingRate, Markets, MarketState, Observed
from monitor.risk.track import track_after
from monitor.rules.base import Context, Portfolio, Rule
from monitor.rules.book import RULE_KINDS, evaluate_portfolio, evaluate_rules, remembered
from tests.builders import NOON, a_position, a_rule, a_snapshot, an_instrument, flat_tiers

ACCOUNTS, POSITIONS, CONTRACTS = 1_000, 10, 60
ROUNDS = 5
# What a rule that no profile has is given, so that it is judged as well.
OWN_KEYS = {"take_profit": {"levels": ["10%", "20%"]}}
# Reading an account must cost more than judging it.
BOUND = 1.0


def all_rules() -> dict[str, Rule]:
    keys = {**PROFILES["professional"], **PROFILES["retail"], **OWN_KEYS}
    assert keys.keys() == RULE_KINDS.keys(), f"no figures for {RULE_KINDS.keys() ^ keys.keys()}"
    return {kind: a_rule(kind, **keys[kind]) for kind in RULE_KINDS}


def a_market_of(rng: Random) -> Markets:
    states = {}
    for number in range(CONTRACTS):
        instrument = an_instrument(f"C{number:02}/USDT:USDT" if number else "BTC/USDT:USDT")
        rate = FundingRate(
            instrument=instrument,
            rate=rng.gauss(0, 0.0002),
            interval=timedelta(hours=8),
            next_at=NOON + timedelta(hours=1),
            origin="drawn",
        )
        states[instrument.symbol] = MarketState(
            instrument=instrument,
            mark_price=Observed(100.0, NOON),
            funding=Observed(rate, NOON),
            tiers=Observed(flat_tiers(0.005), NOON),
            study=Observed(a_study(rng, 100.0, NOON.date()), NOON),
            book=Observed(a_book(rng, 100.0, 1_000.0), NOON),
        )
    return states


def an_account(number: int, markets: Markets, rng: Random) -> AccountSnapshot:
    leverage = (1.0, 4.5, 12.0)[number % 3]
    chosen = rng.sample(sorted(markets), POSITIONS)
    positions = [_position(markets[symbol], rng) for symbol in chosen]
    equity = sum(position.notional for position in positions) / leverage
    snapshot = a_snapshot(*positions, account=f"fund-{number}", equity=equity)
    return replace(snapshot, orders=(), orders_at=NOON)


def _position(state: MarketState, rng: Random) -> Position:
    side, size = rng.choice(list(Side)), rng.uniform(1, 100)
    return a_position(
        instrument=state.instrument,
        side=side,
        contracts=size,
        size=size,
        notional=size * 100,
        mark_price=100.0,
        entry_price=rng.uniform(90, 110),
        liquidation_price=100.0 * (1 - side.sign * rng.uniform(0.02, 0.6)),
        leverage=10.0,
        margin_mode=MarginMode.CROSS,
        initial_margin=size * 10,
        maintenance_margin=size * 0.5,
        adl_rank=rng.randint(1, 5),
    )


def contexts() -> list[Context]:
    rng = Random(1)
    markets = a_market_of(rng)
    found = []
    for number in range(ACCOUNTS):
        snapshot = an_account(number, markets, rng)
        track = track_after(None, snapshot, markets)
        found.append(Context(snapshot=snapshot, markets=markets, now=NOON, track=track))
    return found


def cpu_ms(contexts: Sequence[Context], judge: Callable[[Context], object]) -> float:
    """Of one account; each time on a context that has worked out nothing yet."""
    fresh = [replace(context) for context in contexts]
    started_s = time.process_time()
    for context in fresh:
        judge(context)
    return (time.process_time() - started_s) * 1000 / len(contexts)


def portfolio_cpu_ms(contexts: Sequence[Context], rules: Mapping[str, Rule]) -> float:
    """Of all accounts together; what is added up of each was added up when it was read."""
    seen = {context.snapshot.account: context for context in contexts}
    started_s = time.process_time()
    evaluate_portfolio(rules, remembered(rules, Portfolio(seen=seen, unseen={}, now=NOON), {}))
    return (time.process_time() - started_s) * 1000


def main() -> int:
    rules, accounts = all_rules(), contexts()
    print(f"{measured_on()}; {ACCOUNTS} accounts, {POSITIONS} positions each, {len(rules)} rules; medians\n")
    whole = statistics.median(cpu_ms(accounts, partial(evaluate_rules, rules)) for _ in range(ROUNDS))
    rows = [("judging by all rules", f"{whole:.3f} ms")]
    for kind, rule in rules.items():
        cost = statistics.median(cpu_ms(accounts, partial(rule.evaluate, "")) for _ in range(ROUNDS))
        rows.append((f"  {kind}", f"{cost:.3f} ms"))
    together = statistics.median(portfolio_cpu_ms(accounts, rules) for _ in range(ROUNDS))
    rows.append((f"judging {ACCOUNTS} accounts together, once for all", f"{together:.0f} ms"))
    with venue() as base_url:
        _, reading = in_a_fresh_process(all_at_once, base_url)
    rows.append(("a whole cycle: reading, default rules, writing", f"{reading:.3f} ms"))
    print_table(("one account", "CPU"), rows)
    return verdict([Bound(what="judging over a whole cycle", value=whole / reading, at_most=BOUND, unit="x")])


if __name__ == "__main__":
    sys.exit(main())

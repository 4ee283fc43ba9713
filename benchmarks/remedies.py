"""Remedies proven on the exchange: `python -m benchmarks.remedies --accounts 5000 --seed 1`.

Random accounts on real brackets, judged by each rule of the retail profile; two of them together by the rules over all
accounts. Each remedy that a breach carries is done on the paper exchange (collateral deposited, positions closed,
hedges restored, stops placed), the account is read from its truth again, and the rule must be clear; done by 1 % less,
it must not be. Prints how many were tried, and exits 1 where one failed. What is advised in words (collateral,
trailing_stop, take_profit, drawdown) has nothing to measure.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from benchmarks.oracle_cases import ACCOUNT, random_accounts, real_brackets
from benchmarks.remedies_together import TOGETHER, run_together
from benchmarks.remedy_cases import PARTS, Case, Tally, World, a_stop, case_of, is_clear
from benchmarks.rig import measured_on, print_table
from monitor.config.profiles import PROFILES
from monitor.domain.account import Position
from monitor.domain.market import Resting
from monitor.domain.reading import Reading, Scope, Verdict
from monitor.paper.engine import Engine
from monitor.risk.exit import against
from monitor.risk.underlying import underlying_of
from monitor.risk.worth import dollars_per
from monitor.rules.base import Context, Rule
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule

COLLATERAL, CUT, STOP = "add_collateral", "cut_share", "stop_size"
WAYS = (COLLATERAL, CUT, STOP)
# A stop is placed this share of the way from the liquidation price to the mark: where it is hardest to be in time.
NEAR_LIQUIDATION = 0.01
# And so far from the mark where nothing is liquidated.
FAR = 0.5
IN_WORDS = ("collateral", "trailing_stop", "take_profit", "drawdown")


def judge(kind: str, rule: Rule, context: Context) -> dict[tuple[Scope, str], Reading]:
    readings = evaluate_rules({kind: rule}, context)
    return {(reading.key.scope, reading.key.subject): reading for reading in readings}


def remedied(case: Case, context: Context, reading: Reading, way: str, part: float) -> World:
    """The exchange after that part of the remedy was done."""
    world = case.world()
    amount = float(str(reading.inputs[way])) * part
    if way == COLLATERAL:
        _add(world.engine, context, reading, amount)
    elif way == STOP:
        position = _position_of(context, reading)
        trigger = _trigger(position, reading)
        size = amount / trigger if position.instrument.inverse else amount
        return world._replace(orders=(*world.orders, a_stop(position, size, trigger)))
    else:
        _cut(world.engine, context, reading, min(amount, 1.0))
    return world


def _add(engine: Engine, context: Context, reading: Reading, amount: float) -> None:
    """To the pool that the reading is about; what is told in dollars is meant for the account, so to any cross pool."""
    subject, positions = reading.key.subject, context.snapshot.positions
    if reading.inputs.get("currency") == "USD":
        coin = positions[0].instrument.settle
        engine.deposit(ACCOUNT, coin, amount / dollars_per(coin, context.snapshot, context.markets))
        return
    position = next(p for p in positions if subject in (p.subject, p.pool))
    engine.deposit(ACCOUNT, position.instrument.settle, amount)
    if position.pool.startswith("isolated:"):
        engine.move_isolated_margin(ACCOUNT, position.instrument.symbol, position.side, amount)


def _cut(engine: Engine, context: Context, reading: Reading, share: float) -> None:
    """At the mark; where leaving is what the rule is about, at what the order book pays."""
    for position in _cut_positions(context, reading):
        symbol, contracts = position.instrument.symbol, position.contracts * share
        book = context.markets[symbol].book
        price = None
        if reading.key.rule == "exit_liquidity" and book is not None:
            price = _paid(position, contracts, against(book.value, position.side))
        engine.close(ACCOUNT, symbol, position.side, contracts, price)


def _paid(position: Position, contracts: float, offers: Sequence[Resting]) -> float:
    """The average price of so many contracts taken from these offers: of coins where it is linear, of dollars where
    it is inverse."""
    left, paid, filled = contracts * position.instrument.contract_size, 0.0, 0.0
    for offer in offers:
        taken = min(left, offer.size * (offer.price if position.instrument.inverse else 1.0))
        paid += taken / offer.price if position.instrument.inverse else taken * offer.price
        filled, left = filled + taken, left - taken
    assert left <= 1e-9 * filled, "the book ends before the position does"
    return filled / paid if position.instrument.inverse else paid / filled


def _cut_positions(context: Context, reading: Reading) -> Iterator[Position]:
    subject, base = reading.key.subject, reading.inputs.get("base")
    for position in context.snapshot.positions:
        match reading.key.scope:
            case Scope.POSITION:
                is_meant = position.subject == subject
            case Scope.POOL:
                is_meant = position.pool == subject
            case _:
                is_meant = subject == ACCOUNT or position.instrument.settle == subject
                is_meant = is_meant and base in (
                    None,
                    position.instrument.base,
                    underlying_of(position.instrument).name,
                )
        if is_meant:
            yield position


def _position_of(context: Context, reading: Reading) -> Position:
    return next(p for p in context.snapshot.positions if p.subject == reading.key.subject)


def _trigger(position: Position, reading: Reading) -> float:
    mark, within = position.mark_price, reading.inputs["stop_within"]
    if within is None:
        return mark * (1 - position.side.sign * FAR)
    assert isinstance(within, float)
    return within + (mark - within) * NEAR_LIQUIDATION


def _is_in_time(case: Case, context: Context, reading: Reading) -> bool:
    """Whether the whole position still stands when the mark reaches the stop, so that it can be closed there."""
    position, engine = _position_of(context, reading), case.world().engine
    symbol = position.instrument.symbol
    engine.set_mark(symbol, _trigger(position, reading))
    left = {(truth.symbol, truth.side): truth.contracts for truth in engine.positions(ACCOUNT)}
    return left.get((symbol, position.side)) == position.contracts


def prove(case: Case, kind: str, rule: Rule, tally: Tally) -> None:
    context = case.read(case.world())
    for key, reading in judge(kind, rule, context).items():
        if reading.verdict is not Verdict.BREACH:
            continue
        tally.breaches += 1
        ways = [way for way in WAYS if reading.inputs.get(way) is not None]
        for way in ways or ["advice" if "advice" in reading.inputs else "nothing"]:
            tally.tried[way] += 1
            for part, should_be_clear in PARTS if way in ways else ():
                after = judge(kind, rule, case.read(remedied(case, context, reading, way, part))).get(key)
                if is_clear(after) is not should_be_clear:
                    tally.failed.append(f"{key[1]}: {way} x {part:g} leaves {after and after.verdict}: {reading}")
        if STOP in ways and not _is_in_time(case, context, reading):
            tally.failed.append(f"{key[1]}: it is taken before the stop that is advised: {reading}")


def run(seed: int, count: int, kinds: Mapping[str, Rule]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for number, account in enumerate(random_accounts(seed, count, real_brackets())):
        case = case_of(account, Random(f"{seed}:{number}:market"))
        if case.is_lost:
            continue
        for kind, rule in kinds.items():
            prove(case, kind, rule, tallies[kind])
    return tallies


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="failures shown of each rule")
    parser.add_argument("--kinds", nargs="*")
    arguments = parser.parse_args()
    rules = {kind: a_rule(kind, **keys) for kind, keys in PROFILES["retail"].items() if kind not in IN_WORDS}
    rules = {kind: rule for kind, rule in rules.items() if not arguments.kinds or kind in arguments.kinds}
    print(f"{measured_on()}; {arguments.accounts} random accounts, seed {arguments.seed}\n")
    alone = {kind: rule for kind, rule in rules.items() if kind not in TOGETHER or kind == "concentration"}
    together = {kind: rule for kind, rule in rules.items() if kind in TOGETHER}
    tallies = run(arguments.seed, arguments.accounts, alone)
    tallies |= {
        f"{kind}, of all": of for kind, of in run_together(arguments.seed, arguments.accounts, together).items()
    }
    ways = dict.fromkeys(way for tally in tallies.values() for way in tally.tried)
    print_table(
        ("rule", "breaches", *ways, "failed"),
        [
            (kind, str(of.breaches), *(str(of.tried[way]) for way in ways), str(len(of.failed)))
            for kind, of in tallies.items()
        ],
    )
    for kind, tally in tallies.items():
        for failure in tally.failed[: arguments.show]:
            print(f"FAIL  {kind}: {failure}")
    return 1 if any(tally.failed for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Remedies proven on the exchange: `python -m benchmarks.remedies --accounts 5000 --seed 1`.

Random accounts on real brackets, judged by each rule of the retail profile. Each remedy that a breach carries is done
on the paper exchange (collateral deposited, positions closed at the mark), the account is read from its truth again,
and the rule must be clear; done by 1 % less, it must not be. Rules over all accounts, and exit_liquidity, whose cuts
pay slippage that the paper exchange does not charge, are proven so by tests of their own. Prints how many were tried,
and exits 1 where one failed.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from benchmarks.oracle_cases import ACCOUNT, NOW, RandomAccount, random_accounts, real_brackets
from benchmarks.random_market import a_study
from benchmarks.rig import measured_on, print_table
from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot, Instrument, MarginBalance, Position, PriceOrigin
from monitor.domain.market import FundingRate, Markets, MarketState, Observed, Tier
from monitor.domain.reading import Reading, Scope, Verdict
from monitor.paper.book import PoolTruth, PositionTruth, liquidatable
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.risk.underlying import underlying_of
from monitor.risk.worth import dollars_per
from monitor.rules.base import Context, Rule
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule

# Done by so much less, a remedy must not suffice.
SHORT_OF = 0.01
COLLATERAL, CUT = "add_collateral", "cut_share"


@dataclass(slots=True)
class Tally:
    """Of one rule: breaches by what they carry, and what a remedy did not do."""

    breaches: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    """One random account, and what is public of its contracts."""

    account: RandomAccount
    markets: Markets

    def read(self, engine: Engine) -> Context:
        instruments = {symbol: state.instrument for symbol, state in self.markets.items()}
        snapshot = AccountSnapshot(
            account=ACCOUNT,
            venue="paper",
            observed_at=NOW,
            margins=tuple(_balance(pool) for pool in engine.pools(ACCOUNT)),
            positions=tuple(_position(truth, instruments[truth.symbol]) for truth in engine.positions(ACCOUNT)),
        )
        return Context(snapshot=snapshot, markets=self.markets, now=NOW)

    def judge(self, name: str, rule: Rule, engine: Engine) -> dict[tuple[Scope, str], Reading]:
        readings = evaluate_rules({name: rule}, self.read(engine))
        return {(reading.key.scope, reading.key.subject): reading for reading in readings}


def case_of(account: RandomAccount, rng: Random) -> Case:
    """Marks, brackets and funding as of now; funding is drawn, so that some accounts pay a lot."""
    return Case(account, {of.symbol: _state(of, account.marks[of.symbol], rng) for of in account.contracts})


def _state(contract: Contract, mark: float, rng: Random) -> MarketState:
    instrument = Instrument(
        venue="paper",
        symbol=contract.symbol,
        base=contract.base,
        quote=contract.quote,
        settle=contract.settle,
        contract_size=contract.contract_size,
        inverse=contract.inverse,
    )
    rate = FundingRate(
        instrument=instrument,
        rate=rng.gauss(0, 0.0005),
        interval=timedelta(hours=rng.choice((1, 4, 8))),
        next_at=NOW + timedelta(minutes=30),
        origin="drawn",
    )
    tiers = tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in contract.brackets)
    return MarketState(
        instrument=instrument,
        mark_price=Observed(mark, NOW),
        funding=Observed(rate, NOW),
        tiers=Observed(tiers, NOW),
        study=Observed(a_study(rng, mark, NOW.date()), NOW),
    )


def _balance(pool: PoolTruth) -> MarginBalance:
    return MarginBalance(
        pool=pool.pool,
        currency=pool.asset,
        equity=pool.equity,
        maintenance_margin=pool.maintenance_margin,
        initial_margin=pool.initial_margin,
    )


def _position(truth: PositionTruth, instrument: Instrument) -> Position:
    price = truth.liquidation_price
    return Position(
        instrument=instrument,
        side=truth.side,
        pool=truth.pool,
        contracts=truth.contracts,
        size=instrument.size(truth.contracts, truth.mark_price),
        notional=truth.notional,
        mark_price=truth.mark_price,
        entry_price=truth.entry_price,
        liquidation_price=price,
        liquidation_price_origin=PriceOrigin.VENUE if price is not None else PriceOrigin.NONE,
        leverage=truth.leverage,
        margin_mode=truth.margin_mode,
        initial_margin=truth.initial_margin,
        maintenance_margin=truth.maintenance_margin,
        unrealized_pnl=truth.unrealized_pnl,
        adl_rank=truth.adl_quantile + 1,
    )


def remedied(case: Case, context: Context, reading: Reading, way: str, part: float) -> Engine:
    """The exchange after that part of the remedy was done."""
    engine = case.account.on_engine(case.account.marks)
    amount = float(str(reading.inputs[way])) * part
    if way == COLLATERAL:
        _add(engine, context, reading, amount)
    else:
        for position in _cut_positions(context, reading):
            symbol, side = position.instrument.symbol, position.side
            engine.close(ACCOUNT, symbol, side, position.contracts * min(amount, 1.0))
    return engine


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


def prove(case: Case, kind: str, rule: Rule, tally: Tally) -> None:
    engine = case.account.on_engine(case.account.marks)
    context = case.read(engine)
    for key, reading in case.judge(kind, rule, engine).items():
        if reading.verdict is not Verdict.BREACH:
            continue
        tally.breaches += 1
        ways = [way for way in (COLLATERAL, CUT) if reading.inputs.get(way) is not None]
        for way in ways or ["advice" if "advice" in reading.inputs else "nothing"]:
            tally.tried[way] += 1
            for part, should_be_clear in ((1.0, True), (1 - SHORT_OF, False)) if way in ways else ():
                after = case.judge(kind, rule, remedied(case, context, reading, way, part)).get(key)
                is_clear = after is None or after.verdict is Verdict.CLEAR
                if is_clear is not should_be_clear:
                    tally.failed.append(f"{key[1]}: {way} x {part:g} leaves {after and after.verdict}: {reading}")


def _is_lost(account: RandomAccount) -> bool:
    """The exchange would take it before anything is done."""
    pools = account.on_engine(account.marks).pools(ACCOUNT)
    return any(liquidatable(pool.equity, pool.maintenance_margin) for pool in pools)


def run(seed: int, count: int, kinds: Mapping[str, Rule]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for number, account in enumerate(random_accounts(seed, count, real_brackets())):
        if _is_lost(account):
            continue
        case = case_of(account, Random(f"{seed}:{number}:market"))
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
    rules = {kind: a_rule(kind, **keys) for kind, keys in PROFILES["retail"].items()}
    rules = {kind: rule for kind, rule in rules.items() if not arguments.kinds or kind in arguments.kinds}
    print(f"{measured_on()}; {arguments.accounts} random accounts, seed {arguments.seed}\n")
    tallies = run(arguments.seed, arguments.accounts, rules)
    heads = ("rule", "breaches", COLLATERAL, CUT, "advice", "nothing", "failed")
    print_table(
        heads,
        [
            (kind, str(of.breaches), *(str(of.tried[way]) for way in heads[2:-1]), str(len(of.failed)))
            for kind, of in tallies.items()
        ],
    )
    for kind, tally in tallies.items():
        for failure in tally.failed[: arguments.show]:
            print(f"FAIL  {kind}: {failure}")
    return 1 if any(tally.failed for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

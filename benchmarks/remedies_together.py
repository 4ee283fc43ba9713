"""The remedies of rules over all accounts, on two exchanges: two random accounts, or one and another that hedges it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from benchmarks.oracle_cases import (
    ACCOUNT,
    NOW,
    BracketsBySymbol,
    Holding,
    RandomAccount,
    coin_brackets,
    random_account,
    real_brackets,
)
from benchmarks.random_market import a_study
from benchmarks.remedy_cases import PARTS, Case, Tally, World, case_of, is_clear
from monitor.domain.account import Position, Side
from monitor.domain.hedges import GONE_AFTER, Hedges, HedgeTrack
from monitor.domain.market import Observed
from monitor.domain.reading import Reading, Verdict
from monitor.domain.study import NoStudy
from monitor.paper.contract import Contract
from monitor.risk.underlying import delta_of, underlying_of
from monitor.risk.worth import dollars_per
from monitor.rules.base import Portfolio, Rule
from monitor.rules.book import evaluate_portfolio, remembered
from monitor.rules.hedge import UNWOUND_WITHIN, Hedge

TOGETHER = ("total_exposure", "concentration", "correlated_exposure", "hedge")
HOLDINGS = 3
OFF_AT, JUDGED_AT = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2) + UNWOUND_WITHIN
RESTORED_AT = JUDGED_AT + GONE_AFTER
WHOLE = 1e-6
ALL = "*"
RESTORE, CUT_OTHER = "restore_size", "cut_other_size"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two accounts, each on an exchange of its own."""

    cases: tuple[Case, Case]

    def worlds(self) -> tuple[World, World]:
        first, second = self.cases
        return first.world(), second.world()

    def read(self, worlds: Sequence[World], now: datetime = NOW) -> Portfolio:
        contexts = (case.read(world) for case, world in zip(self.cases, worlds, strict=True))
        return Portfolio(seen={context.snapshot.account: context for context in contexts}, unseen={}, now=now)


@dataclass(frozen=True, slots=True)
class Spot:
    """One position and the exchange it stands on."""

    world: World
    position: Position

    def close(self, share: float) -> None:
        if share <= 0:
            return
        position = self.position
        contracts = position.contracts * min(share, 1.0)
        self.world.engine.close(ACCOUNT, position.instrument.symbol, position.side, contracts)


def pair_of(rng: Random, brackets: BracketsBySymbol, *, hedged: bool) -> Pair:
    first = _few(random_account(rng, brackets))
    second = _hedger_of(first, rng) if hedged else _few(random_account(rng, brackets))
    one, other = case_of(first, rng, "one"), case_of(second, rng, "other")
    return Pair((_in_groups(one, rng), _in_groups(other, rng)))


def _few(account: RandomAccount) -> RandomAccount:
    holdings = account.holdings[:HOLDINGS]
    held = {h.contract.symbol for h in holdings}
    marks = {symbol: mark for symbol, mark in account.marks.items() if symbol in held}
    deposits = {h.contract.settle: account.deposits[h.contract.settle] for h in holdings}
    return replace(account, holdings=holdings, marks=marks, deposits=deposits)


def _in_groups(case: Case, rng: Random) -> Case:
    """Each coin moves with one of two others, or is not known to."""
    unknown = NoStudy("its venue tells no candles", is_untold=True)
    leaders = [a_study(Random(f"leader {number}"), 1.0, NOW.date()) for number in range(2)]
    markets = {}
    for symbol, state in case.markets.items():
        leader = rng.choice([*leaders, *leaders, *leaders, None])
        if leader is None or state.study is None:
            markets[symbol] = replace(state, study=None, no_study=unknown)
            continue
        returns = {day: of + rng.gauss(0, leader.slow_sigma / 2) for day, of in leader.returns.items()}
        markets[symbol] = replace(state, study=Observed(replace(state.study.value, returns=returns), NOW))
    return replace(case, markets=markets)


def _hedger_of(account: RandomAccount, rng: Random) -> RandomAccount:
    """Holds the other side of each coin: half to twice as much of it, linear or inverse."""
    holdings, marks = [], {}
    for held in {h.contract.symbol: h for h in account.holdings}.values():
        mark = account.marks[held.contract.symbol]
        contract = _mirror(held.contract, mark, inverse=rng.random() < 0.5)
        coins = _coins(held.contract, held.contracts, mark) * rng.uniform(0.55, 1.8)
        holdings.append(
            Holding(
                contract=contract,
                side=Side.SHORT if held.side is Side.LONG else Side.LONG,
                contracts=coins * mark / contract.contract_size if contract.inverse else coins,
                entry_price=mark * rng.uniform(0.9, 1.1),
                leverage=held.leverage,
                isolated_margin=None,
            )
        )
        marks[contract.symbol] = mark
    deposits = defaultdict[str, float](float)
    for h in holdings:
        deposits[h.contract.settle] += h.contract.notional(h.contracts, marks[h.contract.symbol])
    return RandomAccount(hedge_mode=True, holdings=tuple(holdings), marks=marks, moved=marks, deposits=deposits)


def _mirror(contract: Contract, mark: float, *, inverse: bool) -> Contract:
    """A contract on the same coin, of that kind."""
    if contract.inverse or not inverse:
        return contract
    return Contract(
        symbol=f"{contract.base}/USD:{contract.base}",
        base=contract.base,
        quote="USD",
        settle=contract.base,
        inverse=True,
        contract_size=10.0,
        brackets=coin_brackets(contract.brackets, mark),
    )


def _coins(contract: Contract, contracts: float, mark: float) -> float:
    return contracts * contract.contract_size / (mark if contract.inverse else 1.0)


# --- sums over both ---


def prove_sum(pair: Pair, kind: str, rule: Rule, tally: Tally) -> None:
    portfolio = pair.read(pair.worlds())
    for reading in _judge(kind, rule, portfolio):
        if reading.verdict is not Verdict.BREACH:
            continue
        tally.breaches += 1
        for way in [way for way in ("add_collateral", "cut_share") if reading.inputs.get(way) is not None]:
            tally.tried[way] += 1
            for part, should_be_clear in PARTS:
                worlds = pair.worlds()
                _do(pair, worlds, reading, way, part)
                after = next(iter(_judge(kind, rule, pair.read(worlds))), None)
                # A clear one without a figure: an account says the same of itself, or one alone is left to speak of.
                is_said_elsewhere = after is not None and after.value is None
                if is_clear(after) is not should_be_clear and not is_said_elsewhere:
                    tally.failed.append(f"{way} x {part:g} leaves {after and after.verdict}: {reading}")


def _judge(kind: str, rule: Rule, portfolio: Portfolio) -> tuple[Reading, ...]:
    return evaluate_portfolio({kind: rule}, portfolio)


def _do(pair: Pair, worlds: Sequence[World], reading: Reading, way: str, part: float) -> None:
    amount = float(str(reading.inputs[way])) * part
    if way == "cut_share":
        shares = _shares(reading, amount)
        for spot in _spots(pair, worlds):
            spot.close(shares.get(underlying_of(spot.position.instrument).name, shares[ALL]))
        return
    context = pair.cases[0].read(worlds[0])
    coin = context.snapshot.positions[0].instrument.settle
    worlds[0].engine.deposit(ACCOUNT, coin, amount / dollars_per(coin, context.snapshot, context.markets))


def _shares(reading: Reading, share: float) -> Mapping[str, float]:
    """What to cut by coin, as the message names them; of all where it names none."""
    named = reading.inputs.get("coins", reading.inputs.get("base"))
    if named is None:
        return {ALL: share}
    found = dict.fromkeys(str(named).split(", "), share)
    for group in str(reading.inputs.get("cut_besides") or "").split("; "):
        coins, _, percent = group.partition(" by ")
        found |= dict.fromkeys(coins.split(", "), float(percent.rstrip("%") or 0) / 100)
    return {ALL: 0.0, **found}


def _spots(pair: Pair, worlds: Sequence[World]) -> Iterator[Spot]:
    for case, world in zip(pair.cases, worlds, strict=True):
        for position in case.read(world).snapshot.positions:
            yield Spot(world, position)


# --- hedges ---


def prove_hedge(pair: Pair, rule: Hedge, rng: Random, tally: Tally) -> None:
    """A leg of a hedge that stood is closed, in part or whole; what the message says restores it."""
    balanced = _remembered(rule, pair.read(pair.worlds()), None)
    if not balanced.tracks:
        return
    track = rng.choice(balanced.tracks)
    lost, share = rng.randrange(len(track.legs)), rng.choice((1.0, rng.uniform(0.05, 1.0)))

    def broken() -> tuple[World, World]:
        worlds = pair.worlds()
        _legs_of(track, pair, worlds)[lost].close(share)
        return worlds

    off = _remembered(rule, pair.read(broken(), OFF_AT), balanced)
    reading = _reading_of(track, rule, pair.read(broken(), JUDGED_AT), off)
    if reading is None or reading.verdict is not Verdict.BREACH:
        return
    tally.breaches += 1
    for way, do in ((RESTORE, _restore), (CUT_OTHER, _cut_other)):
        tally.tried[way] += 1
        for part, should_be_whole in PARTS:
            worlds = broken()
            do(track, pair, worlds, reading, part)
            restored = _remembered(rule, pair.read(worlds, JUDGED_AT), off)
            after = _reading_of(track, rule, pair.read(worlds, RESTORED_AT), restored)
            is_whole = _is_whole(track, pair, worlds, float(str(reading.inputs["wanted_ratio"])))
            if is_whole is not should_be_whole or (is_whole and not is_clear(after)):
                tally.failed.append(f"{way} x {part:g} leaves {after}: {reading}")


def _is_whole(track: HedgeTrack, pair: Pair, worlds: Sequence[World], wanted: float) -> bool:
    """By the books: balanced as it was, or gone on both sides."""
    coins = [delta_of(spot.position) for spot in _legs_of(track, pair, worlds)]
    long, short = sum(max(of, 0.0) for of in coins), sum(max(-of, 0.0) for of in coins)
    return abs(short - wanted * long) <= WHOLE * max(short, wanted * long)


def _remembered(rule: Hedge, portfolio: Portfolio, before: Hedges | None) -> Hedges:
    return remembered({"hedge": rule}, portfolio, {"hedge": before} if before else {}).hedges["hedge"]


def _reading_of(track: HedgeTrack, rule: Hedge, portfolio: Portfolio, before: Hedges) -> Reading | None:
    judged = evaluate_portfolio({"hedge": rule}, remembered({"hedge": rule}, portfolio, {"hedge": before}))
    return next((reading for reading in judged if reading.key.subject == track.underlying), None)


def _legs_of(track: HedgeTrack, pair: Pair, worlds: Sequence[World]) -> list[Spot]:
    return [s for s in _spots(pair, worlds) if underlying_of(s.position.instrument).name == track.underlying]


def _restore(track: HedgeTrack, pair: Pair, worlds: Sequence[World], reading: Reading, part: float) -> None:
    """At the hedger's, in the contract that it has for the coin, at the mark."""
    world, markets = worlds[1], pair.cases[1].markets
    instrument = next(m.instrument for m in markets.values() if underlying_of(m.instrument).name == track.underlying)
    mark = pair.cases[1].account.marks[instrument.symbol]
    base = float(str(reading.inputs[RESTORE])) * part / underlying_of(instrument).multiplier
    contracts = base * (mark if instrument.inverse else 1.0) / instrument.contract_size
    side = Side(str(reading.inputs["restored_side"]))
    world.engine.open(ACCOUNT, instrument.symbol, side, contracts, mark, 10.0)


def _cut_other(track: HedgeTrack, pair: Pair, worlds: Sequence[World], reading: Reading, part: float) -> None:
    """All positions of that side alike."""
    side = str(reading.inputs["cut_side"])
    legs = [spot for spot in _legs_of(track, pair, worlds) if spot.position.side == side]
    held = sum(abs(delta_of(spot.position)) for spot in legs)
    for spot in legs:
        spot.close(float(str(reading.inputs[CUT_OTHER])) * part / held)


def run_together(seed: int, count: int, kinds: Mapping[str, Rule]) -> dict[str, Tally]:
    """Every other pair is an account and its hedger."""
    tallies: dict[str, Tally] = {kind: Tally() for kind in kinds}
    brackets = real_brackets()
    for number in range(count):
        rng = Random(f"{seed}:{number}:pair")
        pair = pair_of(rng, brackets, hedged=number % 2 == 0)
        if any(case.is_lost for case in pair.cases):
            continue
        for kind, rule in kinds.items():
            if not isinstance(rule, Hedge):
                prove_sum(pair, kind, rule, tallies[kind])
            elif number % 2 == 0:
                prove_hedge(pair, rule, rng, tallies[kind])
    return tallies

"""The venue's side: the paper engine, its prices moving on a grid of seconds, what owners and the venue do to it."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.domain.account import Instrument, Side
from monitor.domain.market import FundingRate, MarketState, Observed, Tier
from monitor.paper.contract import Contract, brackets_of
from monitor.paper.engine import Engine
from tests.simulation.plan import ACCOUNTS, STEP_S, SYMBOLS, Deed, Plan
from tests.simulation.records import Records

START = datetime(2025, 10, 10, tzinfo=UTC)
BASES = {"BTCUSDT": 100_000.0, "ETHUSDT": 4_000.0, "SOLUSDT": 200.0}
BRACKETS = brackets_of([(0, 60_000, 0.005, 100, 0), (60_000, 300_000, 0.01, 50, 300), (300_000, 1e9, 0.02, 20, 3_300)])
# What the venue asks for after it has changed its brackets: half as much again.
HARDER = brackets_of([(0, 60_000, 0.0075, 80, 0), (60_000, 300_000, 0.015, 40, 450), (300_000, 1e9, 0.03, 20, 4_950)])
WALLET = 22_000.0
NOISE, REVERSION = 0.0006, 0.02


class World:
    """`advance` plays all that is planned up to a time. `marks` keeps every step's mark by symbol."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.engine = Engine(START)
        self.step = -1
        self.marks: dict[str, list[float]] = {symbol: [] for symbol in SYMBOLS}
        self.instruments: dict[str, Instrument] = {}
        self.records = Records(plan, START)
        self._noise = random.Random(f"{plan.seed}:noise")
        self._swing = dict.fromkeys(SYMBOLS, 0.0)
        self._deeds = list(reversed(plan.deeds))
        self._states: tuple[int, int, dict[str, MarketState]] = (-1, 0, {})
        self._terms = 0
        for symbol in SYMBOLS:
            base = symbol.removesuffix("USDT")
            self.engine.add_contract(
                Contract(symbol=symbol, base=base, quote="USDT", settle="USDT", brackets=BRACKETS, funding_rate=1e-4)
            )
            self.instruments[symbol] = Instrument(
                venue="binanceusdm",
                symbol=f"{base}/USDT:USDT",
                base=base,
                quote="USDT",
                settle="USDT",
                contract_size=1.0,
                inverse=False,
            )
        self.advance(0.0)
        for name in ACCOUNTS:
            self.engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret")
            self._open(name, random.Random(f"{plan.seed}:{name}"))

    def advance(self, time: float) -> None:
        """Play every step and every deed up to `time`, in order."""
        while (self.step + 1) * STEP_S <= time:
            self._play_step()
            while self._deeds and self._deeds[-1][0] <= self.step * STEP_S:
                _, deed, dice = self._deeds.pop()
                self._do(deed, random.Random(dice))
            self.records.take_up(self.engine, self.instruments)

    def states(self) -> dict[str, MarketState]:
        """The public market as of this step, marks and funding as the engine has them."""
        if self._states[:2] != (self.step, self._terms):
            self._states = (self.step, self._terms, {i.symbol: self._state(raw) for raw, i in self.instruments.items()})
        return self._states[2]

    def _state(self, raw: str) -> MarketState:
        instrument, market, now = self.instruments[raw], self.engine.market(raw), self.engine.now
        funding = FundingRate(
            instrument=instrument,
            rate=market.funding_rate,
            interval=market.funding_interval,
            next_at=market.next_funding_at,
            origin="premiumIndex",
        )
        tiers = tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in market.contract.brackets)
        return MarketState(
            instrument=instrument,
            mark_price=Observed(self.marks[raw][-1], now),
            funding=Observed(funding, now),
            tiers=Observed(tiers, now),
        )

    def _play_step(self) -> None:
        self.step += 1
        time = self.step * STEP_S
        prices = {}
        for symbol, base in BASES.items():
            self._swing[symbol] += self._noise.gauss(0.0, NOISE) - REVERSION * self._swing[symbol]
            moved = sum(swing.at(time) for swing in self.plan.swings[symbol])
            prices[symbol] = round(base * math.exp(moved + self._swing[symbol]), 4)
            self.marks[symbol].append(prices[symbol])
        self.engine.set_marks(prices, START + timedelta(seconds=time))

    def _do(self, deed: Deed, dice: random.Random) -> None:
        name = dice.choice(ACCOUNTS)
        held = list(self.engine.account(name).legs)
        match deed:
            case Deed.TIDY:
                self._close_all(name)
                self._open(name, dice)
            case Deed.CLOSE | Deed.ADL if held:
                leave = self.engine.close if deed is Deed.CLOSE else self.engine.adl
                leave(name, *dice.choice(held))
            case Deed.FUNDING:
                self._terms += 1
                rate = dice.choice((1e-4, -1e-4, 5e-4, 2e-3, -2e-3))
                self.engine.set_funding(dice.choice(SYMBOLS), rate, timedelta(hours=dice.choice((1, 2, 4, 8))))
            case Deed.BRACKETS:
                self._terms += 1
                self._change_brackets(dice.choice(SYMBOLS))

    def _close_all(self, name: str) -> None:
        for symbol, side in list(self.engine.account(name).legs):
            if (symbol, side) in self.engine.account(name).legs:
                self.engine.close(name, symbol, side)

    def _open(self, name: str, dice: random.Random) -> None:
        """A fresh start: the wallet as at the beginning, a cross pair and an isolated position, at most five-fold."""
        missing = WALLET - self.engine.account(name).wallets.get("USDT", 0.0)
        if missing > 0:
            self.engine.deposit(name, "USDT", missing)
        elif missing < 0:
            self.engine.withdraw(name, "USDT", -missing)
        symbols = dice.sample(SYMBOLS, len(SYMBOLS))
        for symbol, worth, isolated in zip(symbols, (60_000, 20_000, 25_000), (False, False, True), strict=True):
            price = self.marks[symbol][-1]
            side, leverage = dice.choice(list(Side)), dice.choice((4, 5)) if isolated else 10
            contracts = worth * dice.uniform(0.8, 1.2) / price
            self.engine.open(name, symbol, side, contracts, price, leverage, isolated=isolated)

    def _change_brackets(self, symbol: str) -> None:
        market = self.engine.market(symbol)
        brackets = HARDER if market.contract.brackets is BRACKETS else BRACKETS
        market.contract = replace(market.contract, brackets=brackets)
        for account in self.engine.accounts:
            for leg in account.legs.values():
                if leg.contract.symbol == symbol:
                    leg.contract = market.contract

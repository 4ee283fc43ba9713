"""The accounts that live through the replayed crash, the exchange that holds them, and what was true of each second.

Each case is an account of its own with one long position, opened at the first price.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

from benchmarks.oracle_cases import BracketsBySymbol, coin_brackets
from monitor.domain.account import Side
from monitor.domain.reading import Severity
from monitor.paper.book import Event, EventKind
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine

LEVERAGES = (3, 5, 10, 20)
NOTIONAL_USD = 20_000.0
# Of one inverse contract; as at Binance.
INVERSE_CONTRACT_USD: Mapping[str, float] = {"BTC": 100.0}
OTHER_INVERSE_CONTRACT_USD = 10.0
RULES = ("margin_ratio", "liquidation_distance")
LEVELS = (Severity.WARNING, Severity.CRITICAL)

# A rule and a severity of it.
Threshold = tuple[str, Severity]


@dataclass(frozen=True, slots=True, order=True)
class Case:
    coin: str
    leverage: int
    isolated: bool
    inverse: bool

    @property
    def name(self) -> str:
        """Of the account: `avax-10x-isolated-inverse`."""
        margin = "isolated" if self.isolated else "cross"
        return f"{self.coin.lower()}-{self.leverage}x-{margin}-{'inverse' if self.inverse else 'linear'}"

    @property
    def venue(self) -> str:
        return "binancecoinm" if self.inverse else "binanceusdm"

    @property
    def symbol(self) -> str:
        """As the exchange names it."""
        return f"{self.coin}USD_PERP" if self.inverse else f"{self.coin}USDT"

    @property
    def asset(self) -> str:
        return self.coin if self.inverse else "USDT"

    @property
    def pool(self) -> str:
        return f"isolated:{self.symbol}:{Side.LONG}" if self.isolated else f"cross:{self.asset}"


def cases_of(coins: Sequence[str], leverages: Sequence[int] = LEVERAGES) -> tuple[Case, ...]:
    every = product(coins, leverages, (False, True), (False, True))
    return tuple(Case(coin, leverage, isolated, inverse) for coin, leverage, isolated, inverse in every)


def secret_of(case: Case) -> str:
    return f"secret-of-{case.name}"


def new_exchange(coin: str, cases: Sequence[Case], price: float, start: datetime, brackets: BracketsBySymbol) -> Engine:
    """One coin's exchange with the cases' positions opened at that price, each on its initial margin and no more.

    Isolated accounts hold as much again in their wallet, which does not stand behind the position.
    """
    engine = Engine(start)
    linear = brackets[f"{coin}/USDT:USDT"]
    engine.add_contract(
        Contract(symbol=f"{coin}USDT", base=coin, quote="USDT", settle="USDT", brackets=linear, step=0.001)
    )
    engine.add_contract(
        Contract(
            symbol=f"{coin}USD_PERP",
            base=coin,
            quote="USD",
            settle=coin,
            inverse=True,
            contract_size=INVERSE_CONTRACT_USD.get(coin, OTHER_INVERSE_CONTRACT_USD),
            brackets=coin_brackets(linear, price),
            step=1,
        )
    )
    for case in cases:
        contract = engine.market(case.symbol).contract
        notional = NOTIONAL_USD / price if case.inverse else NOTIONAL_USD
        contracts = contract.contracts(notional, price)
        margin = contract.notional(contracts, price) / case.leverage
        engine.add_account(case.name, api_key=f"key-of-{case.name}", secret=secret_of(case))
        engine.deposit(case.name, case.asset, 2 * margin if case.isolated else margin)
        engine.open(case.name, case.symbol, Side.LONG, contracts, price, case.leverage, isolated=case.isolated)
    return engine


@dataclass(slots=True)
class Stay:
    """How long a value has been past a threshold, in unbroken seconds."""

    first_at: datetime | None = None
    since: datetime | None = None
    longest: timedelta = timedelta(0)

    def note(self, breached: bool, now: datetime) -> None:
        if not breached:
            self.since = None
            return
        self.first_at = self.first_at or now
        self.since = self.since or now
        self.last_for(now)

    def last_for(self, now: datetime) -> None:
        """Still past it at that moment."""
        if self.since is not None:
            self.longest = max(self.longest, now - self.since)


@dataclass(slots=True)
class Truth:
    """What the exchange held to be true of one case, second by second, until it liquidated.

    The liquidation price of a lone position does not depend on the mark, so it is found once.
    """

    case: Case
    engine: Engine
    limits: Mapping[Threshold, float]
    stays: dict[Threshold, Stay] = field(default_factory=dict)
    liquidation: Event | None = None
    liquidation_price: float | None = None
    breached_when_opened: bool = False

    def __post_init__(self) -> None:
        self.stays = {threshold: Stay() for threshold in self.limits}
        position = self.engine.position(self.case.name, self.case.symbol, Side.LONG)
        self.liquidation_price = position.liquidation_price
        self.note(self.engine.now)
        self.breached_when_opened = any(stay.since is not None for stay in self.stays.values())

    def note(self, now: datetime) -> None:
        """After the exchange has judged this second's price."""
        if self.liquidation is not None:
            return
        self.liquidation = next(self._liquidations(), None)
        if self.liquidation is not None:
            for stay in self.stays.values():
                stay.last_for(now)
            return
        for (rule, severity), limit in self.limits.items():
            breached = self.ratio() >= limit if rule == "margin_ratio" else self.distance() <= limit
            self.stays[rule, severity].note(breached, now)

    def ratio(self) -> float:
        """Of a pool that lives, so its equity is above 0."""
        pool = self.engine.pool(self.case.name, self.case.pool)
        return pool.maintenance_margin / pool.equity

    def distance(self) -> float:
        """As a fraction of the mark; all of it where no price liquidates."""
        mark = self.engine.mark(self.case.symbol)
        assert mark is not None
        return 1.0 if self.liquidation_price is None else (mark - self.liquidation_price) / mark

    def _liquidations(self) -> Iterator[Event]:
        for event in self.engine.events:
            if event.account == self.case.name and event.kind in (EventKind.PARTIAL, EventKind.FULL):
                yield event

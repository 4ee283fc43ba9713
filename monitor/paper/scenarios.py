"""Scenarios: contracts, accounts and price paths from a YAML file, and the driver that plays them on an engine.

Prices run through the file's waypoints, straight in the logarithm, with seeded noise that swings around the line.
The same file and seed give the same prices to the last digit, whatever the machine or the clock's speed.
"""

import asyncio
import bisect
import hashlib
import itertools
import math
import random
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from ruamel.yaml import YAML

from monitor.clock import Clock
from monitor.domain.account import Side
from monitor.paper.contract import Contract, brackets_of
from monitor.paper.engine import Engine

PACKAGED = files("monitor.paper") / "data"
VENUES = ("binanceusdm", "binancecoinm")
Waypoint = tuple[Annotated[float, Field(ge=0)], PositiveFloat]
BracketRow = tuple[
    Annotated[float, Field(ge=0)],
    PositiveFloat,
    Annotated[float, Field(gt=0, le=1)],
    PositiveFloat,
    Annotated[float, Field(ge=0)],
]


def _known_venue(venue: str) -> str:
    if venue not in VENUES:
        raise ValueError(f"the paper exchange speaks {' and '.join(VENUES)} only")
    return venue


def _rising(points: tuple[Waypoint, ...]) -> tuple[Waypoint, ...]:
    offsets = [offset for offset, _ in points]
    if not offsets or offsets[0] != 0 or any(a >= b for a, b in itertools.pairwise(offsets)):
        raise ValueError("waypoints start at 0 seconds and rise in time")
    return points


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ContractSpec(_Strict):
    """A contract and the path of its mark. `waypoints` are (seconds from the start, price)."""

    base: str
    quote: str
    settle: str
    inverse: bool = False
    contract_size: PositiveFloat = 1.0
    step: PositiveFloat
    tick: PositiveFloat
    funding_rate: float
    funding_interval_h: Annotated[int, Field(gt=0)] = 8
    liquidation_fee_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    brackets: tuple[BracketRow, ...]
    waypoints: Annotated[tuple[Waypoint, ...], AfterValidator(_rising)]


class PositionSpec(_Strict):
    """A position held from the start. `entry` None: opened at the first mark."""

    symbol: str
    side: Side
    contracts: PositiveFloat
    leverage: PositiveFloat
    entry: PositiveFloat | None = None
    isolated: bool = False
    isolated_margin: PositiveFloat | None = None


class AccountSpec(_Strict):
    venue: Annotated[str, AfterValidator(_known_venue)]
    hedge_mode: bool = False
    wallets: dict[str, PositiveFloat]
    positions: tuple[PositionSpec, ...] = ()


class NoiseSpec(_Strict):
    """Noise of each second, in the logarithm; `reversion` is the share of it that is gone a second later."""

    sigma: Annotated[float, Field(ge=0)]
    reversion: Annotated[float, Field(gt=0, le=1)]


class Scenario(_Strict):
    """One scenario file. `start` is when it begins on the engine's clock, `duration_s` how long prices move."""

    name: str
    title: str
    seed: int
    start: AwareDatetime
    duration_s: Annotated[int, Field(gt=0, le=86_400)]
    noise: NoiseSpec
    contracts: dict[str, ContractSpec]
    accounts: dict[str, AccountSpec]

    @model_validator(mode="after")
    def _positions_are_in_contracts(self) -> "Scenario":
        for name, account in self.accounts.items():
            for position in account.positions:
                if position.symbol not in self.contracts:
                    raise ValueError(f"account {name}: no contract {position.symbol}")
        return self

    def credentials(self, account: str) -> tuple[str, str]:
        """(API key, secret) of an account: made up from the seed, good on this paper exchange alone."""
        key, secret = (
            hashlib.sha256(f"{self.name}:{self.seed}:{account}:{part}".encode()).hexdigest()
            for part in ("key", "secret")
        )
        return key, secret

    def path(self, symbol: str) -> tuple[float, ...]:
        """The mark at every second from 0 to `duration_s`, rounded to the tick."""
        spec = self.contracts[symbol]
        noise = random.Random(f"{self.seed}:{symbol}")
        offsets = [offset for offset, _ in spec.waypoints]
        swing, prices = 0.0, []
        for second in range(self.duration_s + 1):
            line = _log_line(spec.waypoints, offsets, second)
            exact = math.exp(line + swing)
            prices.append(max(spec.tick, round(round(exact / spec.tick) * spec.tick, 10)))
            swing = (1 - self.noise.reversion) * swing + noise.gauss(0.0, self.noise.sigma)
        return tuple(prices)

    def build(self) -> Engine:
        """A fresh engine at the scenario's start: contracts, first marks, wallets, positions."""
        engine = Engine(self.start.astimezone(UTC))
        for symbol, spec in self.contracts.items():
            engine.add_contract(_contract(symbol, spec))
            engine.set_mark(symbol, spec.waypoints[0][1])
        for name, account in self.accounts.items():
            key, secret = self.credentials(name)
            engine.add_account(name, api_key=key, secret=secret, hedge_mode=account.hedge_mode)
            for asset, amount in account.wallets.items():
                engine.deposit(name, asset, amount)
            for position in account.positions:
                engine.open(
                    name,
                    position.symbol,
                    position.side,
                    position.contracts,
                    position.entry or self.contracts[position.symbol].waypoints[0][1],
                    position.leverage,
                    isolated=position.isolated,
                    isolated_margin=position.isolated_margin,
                )
        return engine


class Driver:
    """Plays a scenario's prices on an engine, one step for each second of the clock, none left out.

    A step missed because the machine was busy is made up in order, so that an engine's story is the same at any speed.
    After the last second the prices stand still and time goes on.
    """

    def __init__(self, engine: Engine, scenario: Scenario, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock
        self._start = scenario.start.astimezone(UTC)
        self._paths = {symbol: scenario.path(symbol) for symbol in scenario.contracts}
        self._duration_s = scenario.duration_s
        self._stepped = -1
        self._stopped = asyncio.Event()

    @property
    def elapsed_s(self) -> int:
        """Seconds of the scenario played so far."""
        return max(0, self._stepped)

    @property
    def finished(self) -> bool:
        return self._stepped >= self._duration_s

    def step_to(self, now: datetime) -> None:
        """Play every second up to that time."""
        second = int((now - self._start).total_seconds())
        for missed in range(self._stepped + 1, min(second, self._duration_s) + 1):
            marks = {symbol: path[missed] for symbol, path in self._paths.items()}
            self.engine.set_marks(marks, self._start + timedelta(seconds=missed))
            self._stepped = missed
        if now > self.engine.now:
            self.engine.advance(self._start + timedelta(seconds=second))

    async def run(self) -> None:
        """Step every second of the clock until `stop`."""
        while not self._stopped.is_set():
            self.step_to(self._clock.now())
            await self._clock.sleep(1.0)

    def stop(self) -> None:
        self._stopped.set()


def load_scenario(source: str | Path = "crash") -> Scenario:
    """A packaged scenario by name, or any file by path.

    Raises OSError where it cannot be read, ruamel.yaml.error.YAMLError and pydantic.ValidationError (a ValueError)
    where it is wrong.
    """
    if isinstance(source, Path):
        text = source.read_text(encoding="utf-8")
    else:
        text = (PACKAGED / f"{source}.yaml").read_text(encoding="utf-8")
    return Scenario.model_validate(YAML(typ="safe").load(text))


def _contract(symbol: str, spec: ContractSpec) -> Contract:
    return Contract(
        symbol=symbol,
        base=spec.base,
        quote=spec.quote,
        settle=spec.settle,
        inverse=spec.inverse,
        contract_size=spec.contract_size,
        step=spec.step,
        tick=spec.tick,
        funding_rate=spec.funding_rate,
        funding_interval=timedelta(hours=spec.funding_interval_h),
        liquidation_fee_rate=spec.liquidation_fee_rate,
        brackets=brackets_of(spec.brackets),
    )


def _log_line(points: tuple[Waypoint, ...], offsets: list[float], second: float) -> float:
    """The logarithm of the price between the two waypoints around that second; flat after the last."""
    after = bisect.bisect_right(offsets, second)
    if after == len(points):
        return math.log(points[-1][1])
    (from_s, from_price), (to_s, to_price) = points[after - 1], points[after]
    share = (second - from_s) / (to_s - from_s)
    return math.log(from_price) + share * math.log(to_price / from_price)

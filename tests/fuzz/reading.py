"""Reads accounts of a wire that answers from texts, with all that is read beside them, for `tests.fuzz.venues`."""

import asyncio
import json
import math
import re
from bisect import bisect_left
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from monitor.domain.account import AccountSnapshot, End, Observation, Position, PriceOrigin, StopOrder
from monitor.domain.ledger import Entry, Ledger
from monitor.domain.market import Book, Markets
from monitor.domain.study import Candle, Frame
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import AccountAccess, Exchanges, exact_venues
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.venue import KeyFacts
from tests.fuzz.worlds import NOW, StandingClock, Wire, World, numbers_in
from tests.reading import spend_at_will

DEADLINE_S = 5.0
RECORDS_SINCE = NOW - timedelta(hours=1)
CANDLES = 5
CLOSE = 1e-6
# Which figures of a position may stand in the venue's reply as they are; where one does, it is no other one's work.
TOLD = (
    *("contracts", "entry_price", "liquidation_price", "leverage"),
    *("initial_margin", "maintenance_margin", "unrealized_pnl"),
)
# What a reader works out, though the sum of it is told as well.
WORKED_OUT = frozenset({("mexc", "unrealized_pnl")})
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
NOT_TOLD = (PriceOrigin.UNKNOWN, PriceOrigin.OWN_ESTIMATE)


Figures = dict[str, Any]
Record = StopOrder | End | KeyFacts | Entry
Records = Sequence[Record] | Ledger
Told = Sequence[Candle] | Book | ReadError


@dataclass(frozen=True, slots=True)
class Read:
    """All that was read of an account. `records` and `told` by kind; a failure where they could not be read.

    `told` is of one contract; empty where that is not listed.
    """

    observation: Observation
    markets: Markets
    records: Mapping[str, Records | ReadError]
    told: Mapping[str, Told]
    listed: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """A world, read as it is. `as_told` are those of TOLD that stand in its replies."""

    world: World
    read: Read
    texts: Mapping[str, str] = field(repr=False)
    figures: Figures = field(repr=False)
    as_told: frozenset[str]
    numbers: Mapping[str, Sequence[float]] = field(repr=False)

    @property
    def by_ccxt(self) -> bool:
        """Read by the generic reader."""
        return self.world.venue not in exact_venues()


class Reader:
    """Reads accounts of a wire, each as if for the first time."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._exchanges = Exchanges(StandingClock())
        self._wires: dict[str, Wire] = {}
        self._known: dict[str, Known] = {}
        self._held: dict[str, str] = {}
        self.unheard: list[str] = []
        runner.get_loop().set_exception_handler(lambda _, context: self.unheard.append(repr(context)))

    def known(self, world: World) -> Known:
        if world.name not in self._known:
            read = self.read(world, {})
            snapshot = read.observation
            assert isinstance(snapshot, AccountSnapshot), f"{world.name}: {snapshot}"
            assert snapshot.positions, world.name
            texts = {question: reply.body for question, reply in self._wires[world.name].heard.items()}
            numbers = {question: numbers_of(text) for question, text in texts.items()}
            as_told = frozenset(
                name
                for name in TOLD
                if (world.venue, name) not in WORKED_OUT
                and all(stands(name, position, numbers.values()) for position in snapshot.positions)
            )
            self._known[world.name] = Known(world, read, texts, figures_of(read), as_told, numbers)
        return self._known[world.name]

    def read(self, world: World, spoilt: Mapping[str, str]) -> Read:
        return self._runner.run(self._read(world, spoilt))

    async def _read(self, world: World, spoilt: Mapping[str, str]) -> Read:
        wire = self._wires.setdefault(world.name, Wire(world))
        wire.spoilt = spoilt
        self._exchanges._budgets.clear()
        self._exchanges._session = wire  # type: ignore[assignment]  # as much of a session as ccxt asks for
        access = AccountAccess(
            name="main", venue=world.venue, credentials=world.credentials, read_deadline_s=DEADLINE_S
        )
        source = self._exchanges.open_account(access)
        spend_at_will(source._client.shared.budget)
        try:
            observation, markets = await source.observe(), source.markets()
            if isinstance(observation, AccountSnapshot) and observation.positions:
                self._held.setdefault(world.name, observation.positions[0].instrument.symbol)
            records, told_of_one = await _records(source), await _told(source, self._held[world.name])
            return Read(observation, markets, records, told_of_one, frozenset(markets))
        finally:
            await self._exchanges.close_account(source)


async def _records(source: AccountSource) -> dict[str, Records | ReadError]:
    venue, client = source._venue, source._client
    found: dict[str, Records | ReadError] = {}
    try:
        listed, settings = await source._market.instruments(), await source._current_settings()
    except ReadError:
        return found
    for kind, read in (
        ("stops", venue.read_orders(client, listed, settings)),
        ("ends", venue.read_ends(client, listed, settings, RECORDS_SINCE)),
        ("bookings", venue.read_ledger(client, listed, settings, RECORDS_SINCE)),
    ):
        try:
            found[kind] = await read
        except ReadError as failed:
            found[kind] = failed
    if venue.id not in exact_venues():
        return found  # what ccxt takes for a time, and nothing of the key
    try:
        found["key"] = (await venue.read_key_facts(client),)
    except ReadError as failed:
        found["key"] = failed
    return found


async def _told(source: AccountSource, symbol: str) -> dict[str, Told]:
    market, found = source._market, dict[str, Told]()
    try:
        listed = await market.instruments()
    except ReadError:
        return found
    for raw, about in listed.items():
        if about.symbol == symbol:
            reads: dict[str, Coroutine[Any, Any, Told]] = {
                frame: market._venue.read_candles(market._client, raw, about, frame, CANDLES) for frame in Frame
            }
            reads["book"] = market._venue.read_book(market._client, raw, about)
            for kind, read in reads.items():
                try:
                    found[kind] = await read
                except ReadError as failed:
                    found[kind] = failed
    return found


def figures_of(read: Read) -> Figures:
    """Every figure of an account and of its contracts' markets by name."""
    observation = read.observation
    if not isinstance(observation, AccountSnapshot):
        return {}
    found: Figures = {}
    for position in observation.positions:
        found |= _figures(position.subject, position)
        found[f"{position.subject} none"] = True if position.liquidation_price_origin is PriceOrigin.NONE else None
        state = read.markets.get(position.instrument.symbol)
        if state is None:
            continue
        market = f"market {position.instrument.symbol}"
        found[f"{market} mark"] = state.mark_price.value if state.mark_price else None
        if state.funding is not None:
            interval = state.funding.value.interval
            found[f"{market} rate"] = state.funding.value.rate
            found[f"{market} interval"] = interval.total_seconds() if interval else None
        for index, tier in enumerate(state.tiers.value if state.tiers else ()):
            found |= _figures(f"{market} tier {index}", tier)
    for margin in observation.margins:
        if observation.positions_in(margin.pool):
            found |= _figures(margin.pool, margin)
    return found


def _figures(name: str, of: Any) -> Figures:
    values = ((field.name, getattr(of, field.name)) for field in fields(of))
    known = ((key, None if value in NOT_TOLD else value) for key, value in values)
    return {f"{name} {key}": value for key, value in known if value is None or isinstance(value, int | float | str)}


def stands(name: str, position: Position, numbers: Iterable[Sequence[float]]) -> bool:
    """Whether that figure is unknown, worked out by us, or one of those in the replies."""
    value = getattr(position, name)
    if value is None or name in {estimate.figure for estimate in position.estimates}:
        return True
    # Contracts may be told by what they are worth, a margin in the currency of the pool, or of an inverse contract in
    # dollars.
    units = (1.0, position.instrument.contract_size, position.pool_rate, position.mark_price)
    amounts = {abs(value) * unit for unit in units}
    return any(_is_among(told, amount) for told in numbers for amount in amounts)


def _is_among(told: Sequence[float], amount: float) -> bool:
    place = bisect_left(told, amount * (1 - CLOSE))
    return place < len(told) and told[place] <= amount * (1 + CLOSE)


def numbers_of(text: str) -> list[float]:
    """Without their signs, in order."""
    try:
        return sorted(abs(number) for number in numbers_in(json.loads(text)) if not math.isnan(number))
    except ValueError:
        return []
    except RecursionError:
        # The parser of the production may go deeper.
        return sorted(float(number) for number in NUMBER.findall(text))

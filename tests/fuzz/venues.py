"""Venues' replies with junk in them: values or failures as values, and no figure of an account out of junk.

The whole read is the production's: AccountSource, strict client, ccxt and parsers, over a wire that answers from texts.
An account is read with its stop orders, the ends in the venue's records, its bookings, what its key may do, and what is
told of the past and of the order book of a contract that it holds.
"""

import asyncio
import json
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from monitor.domain.account import (
    AccountSnapshot,
    End,
    Instrument,
    MarginBalance,
    Observation,
    Position,
    PriceOrigin,
    StopOrder,
)
from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.domain.market import Book, Markets
from monitor.domain.study import Candle, Frame
from monitor.exchange.failures import MAX_DETAIL_CHARS, ReadError, clean
from monitor.exchange.registry import AccountAccess, Exchanges, exact_venues
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.binance_market import DEFAULT_FUNDING_INTERVAL
from monitor.exchange.venues.venue import KeyFacts
from tests.fuzz.spoiling import Case, draw
from tests.fuzz.target import Target
from tests.fuzz.worlds import NOW, StandingClock, Wire, World, numbers_in, told, worlds
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
# Where the margin mode is junk ccxt takes this from another member of the same row, and where the index of a Bybit
# position is, it takes the other side: what is read by ccxt alone is as good as ccxt.
BY_CCXT = frozenset({"initial_margin", "side"})
# An estimate in the place of a figure that is junk says so, and is near it.
ESTIMATE_ERROR = 0.05
# What Binance documents of contracts that a list of exceptions does not name; a list cut short looks the same.
UNLISTED = {"interval": DEFAULT_FUNDING_INTERVAL.total_seconds()}
# Without a size an order closes the whole position, whatever that is.
NEVER_UNKNOWN = frozenset({"size", "reduce_only", "side", "kind", "at"})

NOT_TOLD = (PriceOrigin.UNKNOWN, PriceOrigin.OWN_ESTIMATE)

Figures = dict[str, Any]
Record = StopOrder | End | KeyFacts | Entry
Records = Sequence[Record] | Ledger
Told = Sequence[Candle] | Book | ReadError
# Who says by no list at all that there is none.
NONE_IS_EMPTY = frozenset({"bingx"})


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
            numbers = {question: _numbers_of(text) for question, text in texts.items()}
            as_told = frozenset(
                name
                for name in TOLD
                if (world.venue, name) not in WORKED_OUT
                and all(_stands(name, position, numbers.values()) for position in snapshot.positions)
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


def check(reader: Reader, case: Case) -> str:
    known = reader.known(case.world)
    read = reader.read(case.world, case.spoilt)
    assert not reader.unheard, reader.unheard
    for name, value in figures_of(read).items():
        assert not isinstance(value, float) or math.isfinite(value), f"{name} is {value}"
    for kind, records in read.records.items():
        clean_ones = known.read.records[kind] if case.is_junk else None
        if isinstance(records, Ledger):
            _check_ledger(records, clean_ones, may_be_empty=case.world.venue in NONE_IS_EMPTY)
        else:
            _check_records(kind, records, clean_ones, read.listed)
    for name, what in read.told.items():
        _check_told(what, known.read.told[name] if case.is_junk else None)
    observation = read.observation
    if not isinstance(observation, AccountSnapshot):
        assert observation.detail.isprintable(), f"not printable: {observation.detail!r}"
        assert len(observation.detail) <= MAX_DETAIL_CHARS
        return str(observation.kind)
    numbers = [of for question, of in known.numbers.items() if told(case.spoilt, question) is None]
    numbers += map(_numbers_of, case.spoilt.values())
    for position in observation.positions:
        _check_position(position, known.as_told, numbers)
    for margin in observation.margins:
        _check_margin(margin)
    if case.is_junk:
        _check_against(known.figures, figures_of(read), _estimated(observation), by_ccxt=known.by_ccxt)
    return "read"


def _check_position(position: Position, as_told: frozenset[str], numbers: Iterable[Sequence[float]]) -> None:
    assert min(position.contracts, position.size, position.notional, position.mark_price) > 0, position
    assert (position.liquidation_price or 1.0) > 0, position
    assert (position.maintenance_margin or 0.0) >= 0, position
    for name in as_told:
        assert _stands(name, position, numbers), f"{name} {getattr(position, name)} stands nowhere in the replies"


def _stands(name: str, position: Position, numbers: Iterable[Sequence[float]]) -> bool:
    """Whether that figure is unknown, worked out by us, or one of those in the replies."""
    value = getattr(position, name)
    if value is None or name in {estimate.figure for estimate in position.estimates}:
        return True
    # Contracts may be told by what they are worth, a margin in the currency of the pool.
    amounts = {abs(value) * unit for unit in (1.0, position.instrument.contract_size, position.pool_rate)}
    return any(_is_among(told, amount) for told in numbers for amount in amounts)


def _is_among(told: Sequence[float], amount: float) -> bool:
    place = bisect_left(told, amount * (1 - CLOSE))
    return place < len(told) and told[place] <= amount * (1 + CLOSE)


def _check_margin(margin: MarginBalance) -> None:
    assert margin.maintenance_margin is None or margin.maintenance_margin >= 0, margin


def _numbers_of(text: str) -> list[float]:
    """Without their signs, in order."""
    try:
        return sorted(abs(number) for number in numbers_in(json.loads(text)) if not math.isnan(number))
    except (ValueError, RecursionError):
        return []


def _estimated(snapshot: AccountSnapshot) -> Mapping[str, float]:
    """Figures that are marked as our own, and how far each may be off: any way in a pool whose coins are held still."""
    found = {f"{m.pool} {estimate.figure}": ESTIMATE_ERROR for m in snapshot.margins for estimate in m.estimates}
    for position in snapshot.positions:
        of_one_coin = position.pool.endswith((f":{position.instrument.settle}", f":{position.side}"))
        error = ESTIMATE_ERROR if of_one_coin else math.inf
        found |= {f"{position.subject} {estimate.figure}": error for estimate in position.estimates}
    return found


def _check_against(clean: Figures, found: Figures, estimated: Mapping[str, float], *, by_ccxt: bool) -> None:
    """Each figure is the one from the clean reply, or unknown; a contract may have got another name."""
    by_field: dict[str, list[Any]] = {}
    for name, value in clean.items():
        by_field.setdefault(name.rpartition(" ")[2], []).append(value)
    held = [sum(name.endswith(" contracts") for name in figures) for figures in (clean, found)]
    assert held[0] == held[1], "a position was left out because of junk"
    for name, value in found.items():
        field = name.rpartition(" ")[2]
        allowed = [clean[name]] if name in clean else by_field.get(field, [])
        allowed += [UNLISTED[field]] if field in UNLISTED else []
        is_known = value is not None and not (by_ccxt and field in BY_CCXT)
        same = _same(value, estimated.get(name, 1e-9))
        assert not is_known or any(map(same, allowed)), f"{name} is {value} because of junk, not {allowed}"


def _same(value: Any, error: float = 1e-9) -> Callable[[Any], bool]:
    def same(known: Any) -> bool:
        if isinstance(value, float) and isinstance(known, int | float):
            return math.isclose(value, known, rel_tol=error)
        return bool(value == known)

    return same


def _check_told(found: Told, clean_one: Told | None) -> None:
    """`clean_one` None where the venue may well tell another."""
    if isinstance(found, ReadError):
        assert clean(found.detail).isprintable()
        return
    if isinstance(found, Book):
        for side, sign in ((found.bids, -1), (found.asks, 1)):
            assert all(math.isfinite(level.size) and level.size > 0 for level in side), found
            assert [level.price for level in side] == sorted({level.price for level in side}, key=lambda p: sign * p)
    else:
        assert found
        assert [candle.at for candle in found] == sorted({candle.at for candle in found})
        assert all(0 < c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high < math.inf for c in found), found
    if clean_one is not None:
        assert found == clean_one, "made of junk"


def _check_records(kind: str, found: Sequence[Record] | ReadError, clean_ones: Any, listed: frozenset[str]) -> None:
    """`clean_ones` None where the venue may well tell other records."""
    if isinstance(found, ReadError):
        assert clean(found.detail).isprintable()
        return
    for record in found:
        for name in ("trigger_price", "callback_rate", "size", "contracts", "price"):
            value = getattr(record, name, None)
            assert value is None or (math.isfinite(value) and value > 0), record
    if clean_ones is None:
        return
    assert not isinstance(clean_ones, ReadError), f"{kind} are read because of junk"
    for record in found:
        assert any(_agrees(record, known) for known in clean_ones), f"made of junk: {record}"
    for known in clean_ones:
        if isinstance(known, End) and known.instrument.symbol not in listed:
            continue  # as of a contract that is listed no more
        assert any(_agrees(record, known) for record in found), f"left out because of junk: {known}"


def _check_ledger(found: Ledger, clean_ones: Any, *, may_be_empty: bool) -> None:
    """What it covers is whole, and nothing in it is of junk."""
    for entry in found.entries:
        assert math.isfinite(entry.amount), entry
        assert entry.currency, entry
    if clean_ones is None or (may_be_empty and not found.entries):
        return
    assert isinstance(clean_ones, Ledger), "bookings are read because of junk"
    for entry in found.entries:
        assert any(_agrees(entry, known) for known in clean_ones.entries), f"made of junk: {entry}"
    for known in clean_ones.entries:
        if found.since < known.at <= found.until:
            assert any(_agrees(entry, known) for entry in found.entries), f"left out because of junk: {known}"


def _agrees(record: Record, known: Record) -> bool:
    """Whether all that is known of it is the same."""
    for of in fields(record):
        value, due = getattr(record, of.name), getattr(known, of.name)
        may_be_other = value is None and of.name not in NEVER_UNKNOWN
        # What names a booking may be all of its row, and its kind is said by a word.
        may_be_other |= isinstance(record, Entry) and (of.name == "id" or value is EntryKind.OTHER)
        # What is left out is not so.
        may_be_other |= of.name in ("ip_restricted", "reduce_only") and value is False
        if not (may_be_other or isinstance(value, Instrument | tuple) or _same(value)(due)):
            return False
    return True


@contextmanager
def target() -> Iterator[Target]:
    known = worlds()
    with asyncio.Runner() as runner:
        reader = Reader(runner)

        def a_case(dice: random.Random) -> Case:
            world = dice.choice(known)
            return draw(world, reader.known(world).texts, dice)

        yield Target(a_case, lambda case: check(reader, case))

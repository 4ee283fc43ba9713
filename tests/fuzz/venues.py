"""Venues' replies with junk in them: values or failures as values, and no figure of an account out of junk.

The whole read is the production's: AccountSource, strict client, ccxt and parsers, over a wire that answers from texts.
An account is read with its stop orders, the ends in the venue's records, its bookings, what its key may do, and what is
told of the past and of the order book of a contract that it holds.
"""

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from monitor.domain.account import (
    AccountSnapshot,
    End,
    Instrument,
    MarginBalance,
    Position,
)
from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.domain.market import Book
from monitor.exchange.failures import MAX_DETAIL_CHARS, ReadError, clean
from monitor.exchange.venues.binance_market import DEFAULT_FUNDING_INTERVAL
from tests.fuzz.reading import Figures, Reader, Record, Told, figures_of, numbers_of, stands
from tests.fuzz.spoiling import Case, draw
from tests.fuzz.target import Target
from tests.fuzz.worlds import told, worlds

# Where the margin mode is junk ccxt takes this from another member of the same row, and where the index of a Bybit
# position is, it takes the other side: what is read by ccxt alone is as good as ccxt.
BY_CCXT = frozenset({"initial_margin", "side"})
# An estimate in the place of a figure that is junk says so, and is near it.
ESTIMATE_ERROR = 0.05
# What Binance documents of contracts that a list of exceptions does not name; a list cut short looks the same.
UNLISTED = {"interval": DEFAULT_FUNDING_INTERVAL.total_seconds()}
# Without a size an order closes the whole position, whatever that is.
NEVER_UNKNOWN = frozenset({"size", "reduce_only", "side", "kind", "at"})

# Who says by no list at all that there is none.
NONE_IS_EMPTY = frozenset({"bingx"})


def check(reader: Reader, case: Case) -> str:
    known = reader.known(case.world)
    read = reader.read(case.world, case.spoilt)
    assert not reader.unheard, reader.unheard
    for name, value in figures_of(read).items():
        assert not isinstance(value, float) or math.isfinite(value), f"{name} is {value}"
    observation = read.observation
    # Records are read behind a good read alone: by what it was read with they are whole.
    may_be_others = not case.is_junk or not isinstance(observation, AccountSnapshot)
    for kind, records in read.records.items():
        clean_ones = None if may_be_others else known.read.records[kind]
        if isinstance(records, Ledger):
            _check_ledger(records, clean_ones, may_be_empty=case.world.venue in NONE_IS_EMPTY)
        else:
            _check_records(kind, records, clean_ones, read.listed)
    for name, what in read.told.items():
        _check_told(what, known.read.told[name] if case.is_junk else None)
    if not isinstance(observation, AccountSnapshot):
        assert observation.detail.isprintable(), f"not printable: {observation.detail!r}"
        assert len(observation.detail) <= MAX_DETAIL_CHARS
        return str(observation.kind)
    numbers = [of for question, of in known.numbers.items() if told(case.spoilt, question) is None]
    numbers += map(numbers_of, case.spoilt.values())
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
        assert stands(name, position, numbers), f"{name} {getattr(position, name)} stands nowhere in the replies"


def _check_margin(margin: MarginBalance) -> None:
    assert margin.maintenance_margin is None or margin.maintenance_margin >= 0, margin


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

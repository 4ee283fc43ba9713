"""Venues' replies with junk in them: a snapshot or a failure as a value, and no figure of an account out of junk.

The whole read is the production's: AccountSource, strict client, ccxt and parsers, over a wire that answers from texts.
"""

import asyncio
import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from monitor.domain.account import AccountSnapshot, MarginBalance, Observation, Position, PriceOrigin
from monitor.domain.market import Markets
from monitor.exchange.failures import MAX_DETAIL_CHARS
from monitor.exchange.registry import AccountAccess, Exchanges
from monitor.exchange.venues.binance_market import DEFAULT_FUNDING_INTERVAL
from tests.fuzz.junk import hostile_text, places
from tests.fuzz.target import Target
from tests.fuzz.worlds import CREDENTIALS, StandingClock, Wire, World, numbers_in, texts_of, worlds

DEADLINE_S = 5.0
CLOSE = 1e-6
# No number, whatever a lenient parser makes of it; MISSING takes the member away.
MISSING = object()
NO_NUMBER: tuple[Any, ...] = (
    *(MISSING, None, "", " ", "abc", "NaN", "nan", "Infinity", "-inf", "1e999", "0x10", "1_0", "1,000", "12abc", "--5"),
    *("１２", "٣", " 7 ", "7\n", "+", ".", "e5", "null", "[]", "9" * 400, True, math.nan, math.inf, -math.inf, 10**400),
    *([], {}, [1], [[]], {"a": 1}, [None]),
)
# Numbers that no account has, yet numbers.
ODD: tuple[Any, ...] = (
    *(
        0,
        "0",
        "-0",
        -1,
        "-5",
        "0.00000000",
        "1e300",
        "1e-999999999",
        10**9,
        1e308,
        "1e-300",
        5e-324,
        10**30,
        "1e15",
        1e-9,
        0.5,
        2,
    ),
    *(True, False, "BOTH", "LONG", "SHORT", "Buy", "Sell", "long", "isolated", "cross", "USDT", "BTC", "BTCUSDT"),
)
# Which figures of a position stand in the venue's reply as they are; the others are worked out.
AS_TOLD = (
    *("contracts", "entry_price", "liquidation_price", "leverage"),
    *("initial_margin", "maintenance_margin", "unrealized_pnl"),
)
# Where the margin mode is junk ccxt takes this from another member of the same row.
ELSEWHERE = frozenset({"initial_margin"})
# What Binance documents of contracts that a list of exceptions does not name; a list cut short looks the same.
UNLISTED = {"interval": DEFAULT_FUNDING_INTERVAL.total_seconds()}
BODIES = (
    "",
    " ",
    "null",
    "true",
    "0",
    '"ok"',
    "[]",
    "{}",
    "[[]]",
    "NaN",
    "<html>busy</html>",
    '{"code":-1003,"msg":"x"}',
)


@dataclass(frozen=True, slots=True)
class Case:
    """`texts` are the replies by path; `what` was done to one of them. After junk, no figure may be another."""

    world: World
    is_junk: bool
    what: str
    texts: Mapping[str, str]


Figures = dict[str, float | None]


def draw(known: tuple[World, ...], dice: random.Random) -> Case:
    world = dice.choice(known)
    spoil = dice.choice((_no_number, _no_number, _no_number, _odd, _rows, _text))
    return spoil(world, dice)


def _spoilt(world: World, dice: random.Random, is_junk: bool, change: Callable[[Any, Any, random.Random], str]) -> Case:
    """One to three members of one reply changed by `change(container, key, dice)`."""
    path = dice.choice(list(world.replies))
    holder = {"": copy.deepcopy(world.replies[path])}
    said = []
    for _ in range(dice.choice((1, 1, 2, 3))):
        if holder:
            container, key = dice.choice(list(places(holder)))
            said.append(f"{key} {change(container, key, dice)}")
    texts = texts_of({**world.replies, path: holder.get("")})
    if "" not in holder:
        texts.pop(path)
    return Case(world, is_junk, f"{path}: {', '.join(said)}", texts)


def _is_no_junk(junk: Any, before: Any) -> bool:
    """Another truth, another name and an empty list are things that a venue may well say."""
    is_name = isinstance(before, str) and not list(numbers_in(before))
    return (
        (isinstance(junk, bool) and isinstance(before, bool))
        or (junk == [] and isinstance(before, list))
        or (is_name and isinstance(junk, str) and junk != "")
    )


def _no_number(world: World, dice: random.Random) -> Case:
    def change(container: Any, key: Any, dice: random.Random) -> str:
        junk, before = dice.choice(NO_NUMBER), container[key]
        if _is_no_junk(junk, before):
            return "left"
        if junk is MISSING:
            if isinstance(container, list):
                return "left"
            del container[key]
            return "missing"
        container[key] = copy.deepcopy(junk)
        return f"= {junk!r:.40}"

    return _spoilt(world, dice, True, change)


def _odd(world: World, dice: random.Random) -> Case:
    def change(container: Any, key: Any, dice: random.Random) -> str:
        container[key] = dice.choice(ODD) if dice.random() < 0.9 else hostile_text(dice)
        return f"= {container[key]!r:.40}"

    return _spoilt(world, dice, False, change)


def _rows(world: World, dice: random.Random) -> Case:
    """Rows twice, very many rows, rows of one list in another; and in cases of their own, rows gone."""
    are_gone = dice.random() < 0.3

    def change(container: Any, key: Any, dice: random.Random) -> str:
        if not isinstance(container, list):
            return "left"
        if are_gone:
            del container[key]
            return "gone"
        copies = dice.choice((0, 1, 1, 300))
        container[key : key + 1] = copy.deepcopy([container[key]] * (copies + 1) if copies else [[container[key]]])
        return f"copied {copies} times" if copies else "nested"

    return _spoilt(world, dice, not are_gone, change)


def _text(world: World, dice: random.Random) -> Case:
    """What is no reply at all, or one that was cut, flipped or grown on its way."""
    path = dice.choice(list(world.replies))
    text = json.dumps(world.replies[path])
    start = dice.randrange(len(text) + 1)
    end = min(len(text), start + dice.choice((1, 3, 30)))
    depth = dice.choice((20, 900, 985, 1_010, 5_000, 100_000))
    spoilt = dice.choice(
        (
            text[:start],
            text[:start] + text[end:],
            text[:start] + dice.choice(('"', "{", "]", ",", "0", "-", "e", "\x00", "\\ud800")) + text[start:],
            text + text[start:],
            dice.choice(BODIES),
            "[" * depth + "]" * depth,
            '{"a":' * depth + text + "}" * depth,
            text[:start] + "[" * depth + "]" * depth + text[end:],
            json.dumps({"code": hostile_text(dice), "msg": hostile_text(dice), "retMsg": hostile_text(dice)}),
        )
    )
    return Case(world, False, f"{path} = {spoilt:.80}", {**texts_of(world.replies), path: spoilt})


class Reader:
    """Reads accounts of a wire, each as if for the first time."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._wire = Wire()
        self._exchanges = Exchanges(StandingClock())
        self._exchanges._session = self._wire  # type: ignore[assignment]  # as much of a session as ccxt asks for
        self.unheard: list[str] = []
        runner.get_loop().set_exception_handler(lambda _, context: self.unheard.append(repr(context)))

    def read(self, venue: str, texts: Mapping[str, str]) -> tuple[Observation, Markets]:
        return self._runner.run(self._read(venue, texts))

    async def _read(self, venue: str, texts: Mapping[str, str]) -> tuple[Observation, Markets]:
        self._wire.texts = texts
        access = AccountAccess(name="main", venue=venue, credentials=CREDENTIALS, read_deadline_s=DEADLINE_S)
        source = self._exchanges.open_account(access)
        try:
            observation = await source.observe()
            return observation, source.markets()
        finally:
            await self._exchanges.close_account(source)


def figures_of(observation: Observation, markets: Markets) -> Figures:
    """Every number of an account and of its contracts' markets by name."""
    if not isinstance(observation, AccountSnapshot):
        return {}
    found: Figures = {}
    for position in observation.positions:
        found |= _numbers(position.subject, position)
        found[f"{position.subject} none"] = 1.0 if position.liquidation_price_origin is PriceOrigin.NONE else None
        state = markets.get(position.instrument.symbol)
        if state is None:
            continue
        market = f"market {position.instrument.symbol}"
        found[f"{market} mark"] = state.mark_price.value if state.mark_price else None
        if state.funding is not None:
            interval = state.funding.value.interval
            found[f"{market} rate"] = state.funding.value.rate
            found[f"{market} interval"] = interval.total_seconds() if interval else None
        for index, tier in enumerate(state.tiers.value if state.tiers else ()):
            found |= _numbers(f"{market} tier {index}", tier)
    for margin in observation.margins:
        if observation.positions_in(margin.pool):
            found |= _numbers(margin.pool, margin)
    return found


def _numbers(name: str, of: Any) -> Figures:
    values = ((field.name, getattr(of, field.name)) for field in fields(of))
    return {f"{name} {key}": value for key, value in values if value is None or isinstance(value, int | float)}


def check(reader: Reader, clean: Mapping[str, Figures], case: Case) -> str:
    observation, markets = reader.read(case.world.venue, case.texts)
    assert not reader.unheard, reader.unheard
    found = figures_of(observation, markets)
    for name, value in found.items():
        assert value is None or math.isfinite(value), f"{name} is {value}"
    if not isinstance(observation, AccountSnapshot):
        assert observation.detail.isprintable(), f"not printable: {observation.detail!r}"
        assert len(observation.detail) <= MAX_DETAIL_CHARS
        return str(observation.kind)
    for position in observation.positions:
        _check_position(position, case)
    for margin in observation.margins:
        _check_margin(margin)
    if case.is_junk:
        _check_against(clean[case.world.name], found)
    return "read"


def _check_position(position: Position, case: Case) -> None:
    assert min(position.contracts, position.size, position.notional, position.mark_price) > 0, position
    assert (position.liquidation_price or 1.0) > 0, position
    assert (position.maintenance_margin or 0.0) >= 0, position
    told = [number for text in case.texts.values() for number in _told(text)]
    worked_out = {estimate.figure for estimate in position.estimates}
    for name in (name for name in AS_TOLD if name not in worked_out):
        value = getattr(position, name)
        # Some venues tell contracts by what they are worth: linear ones in coins, inverse ones in dollars.
        each = position.instrument.contract_size if name == "contracts" else 1.0
        assert value is None or any(_is_close(number, value) or _is_close(number, value * each) for number in told), (
            f"{name} {value} stands nowhere in the replies"
        )


def _is_close(number: float, value: float) -> bool:
    return abs(abs(number) - abs(value)) <= CLOSE * abs(value)


def _check_margin(margin: MarginBalance) -> None:
    assert margin.maintenance_margin is None or margin.maintenance_margin >= 0, margin


def _told(text: str) -> list[float]:
    try:
        return list(numbers_in(json.loads(text)))
    except (ValueError, RecursionError):
        return []


def _check_against(clean: Figures, found: Figures) -> None:
    """Each figure is the one from the clean reply, or unknown; a contract may have got another name."""
    by_field: dict[str, set[float | None]] = {}
    for name, value in clean.items():
        by_field.setdefault(name.rpartition(" ")[2], set()).add(value)
    held = [sum(name.endswith(" contracts") for name in figures) for figures in (clean, found)]
    assert held[0] == held[1], "a position was left out because of junk"
    for name, value in found.items():
        field = name.rpartition(" ")[2]
        allowed = {clean[name]} if name in clean else by_field.get(field, set())
        allowed |= {UNLISTED[field]} if field in UNLISTED else set()
        is_known = value is not None and field not in ELSEWHERE
        assert not is_known or _is_one_of(value, allowed), f"{name} is {value} because of junk, without it {allowed}"


def _is_one_of(value: float | None, allowed: set[float | None]) -> bool:
    return any(value == known or math.isclose(value or 0.0, known or 0.0, rel_tol=1e-9) for known in allowed)


@contextmanager
def target() -> Iterator[Target]:
    """Needs the folder of recorded replies."""
    known = worlds()
    with asyncio.Runner() as runner:
        reader = Reader(runner)
        clean = {}
        for world in known:
            observation, markets = reader.read(world.venue, texts_of(world.replies))
            assert isinstance(observation, AccountSnapshot), f"{world.name}: {observation}"
            assert observation.positions, world.name
            clean[world.name] = figures_of(observation, markets)
        yield Target(lambda dice: draw(known, dice), lambda case: check(reader, clean, case))

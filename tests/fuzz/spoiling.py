"""How a venue's good reply is made a bad one: junk in its members, rows gone or twice, text that is no JSON."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.junk import hostile_text, places
from tests.fuzz.worlds import World, numbers_in

# No number, whatever a lenient parser makes of it; MISSING takes the member away.
MISSING = object()
NO_NUMBER: tuple[Any, ...] = (
    *(MISSING, None, "", " ", "abc", "NaN", "nan", "Infinity", "-inf", "1e999", "0x10", "1_0", "1,000", "12abc", "--5"),
    *("１２", "٣", " 7 ", "7\n", "+", ".", "e5", "null", "[]", "9" * 400, True, math.nan, math.inf, -math.inf, 10**400),
    *([], {}, [1], [[]], {"a": 1}, [None]),
)
# What a venue may well say in the place of a figure.
SAID: Mapping[str, tuple[Any, ...]] = {
    # Without it an order rests at KuCoin that waits for no price.
    "triggerPrice": (MISSING, None, ""),
    # Without it a row of bookings moved no money of that kind.
    **dict.fromkeys(("realized_pnl", "realized_funding", "fee"), (MISSING, None, "")),
    **dict.fromkeys(("commission", "total_interest_pl"), (MISSING, None, "")),
    # A position at Kraken that is margined across.
    "maxFixedLeverage": (MISSING, None),
    # Bybit: there is none.
    "liqPrice": ("",),
    # Hyperliquid's main dex has no name.
    **dict.fromkeys(("sourceDex", "destinationDex"), ("",)),
}
# Numbers that no account has, yet numbers.
ODD: tuple[Any, ...] = (
    *(0, "0", "-0", -1, "-5", "0.00000000", "1e300", "1e-999999999", 10**9, 1e308, "1e-300", 5e-324, 10**30, "1e15"),
    *(1e-9, 0.5, 2, True, False, "BOTH", "LONG", "SHORT", "Buy", "Sell", "long", "isolated", "cross"),
    *("USDT", "BTC", "BTCUSDT"),
)
BODIES = (
    *("", " ", "null", "true", "0", '"ok"', "[]", "{}", "[[]]", "NaN", "<html>busy</html>"),
    '{"code":-1003,"msg":"x"}',
)
# The same reply to whatever is asked of that name: another page, another coin.
ALL_PAGES_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Case:
    """`spoilt` are texts by the beginning of the question; `what` was done. After junk, no figure may be another."""

    world: World
    is_junk: bool
    what: str
    spoilt: Mapping[str, str] = field(repr=False)


def draw(world: World, texts: Mapping[str, str], dice: random.Random) -> Case:
    """`texts` are the good replies by question."""
    name = dice.choice(sorted({_name(question) for question in texts}))
    questions = sorted(question for question in texts if _name(question) == name)
    question = dice.choice(questions)
    spoil = dice.choice((_no_number, _no_number, _no_number, _odd, _rows, _text))
    is_junk, what, spoilt = spoil(json.loads(texts[question]), dice)
    if dice.random() < ALL_PAGES_SHARE:
        return Case(world, is_junk and len(questions) == 1, f"all {name} {what}", {name: spoilt})
    return Case(world, is_junk, f"{question} {what}", {question: spoilt})


def _name(question: str) -> str:
    return question.partition("?")[0] + "?"


Spoilt = tuple[bool, str, str]


def _changed(reply: Any, dice: random.Random, change: Callable[[Any, Any, random.Random], str]) -> tuple[str, str]:
    """One to three members changed by `change(container, key, dice)`."""
    holder = {"": copy.deepcopy(reply)}
    said, changed = list[str](), list[tuple[Any, Any]]()
    for _ in range(dice.choice((1, 1, 2, 3))):
        container, key = dice.choice(list(places(holder)) or [(None, None)])
        # What has been changed, or stands within it, is no longer the venue's word, by which junk is told from what
        # it may say.
        within = (place for at, name in changed for place in _itself_and_inside(at, name))
        if container is not None and not any(container is at and key == name for at, name in within):
            changed.append((container, key))
            said.append(f"{key} {change(container, key, dice)}")
    return ", ".join(said), json.dumps(holder[""]) if holder else ""


def _itself_and_inside(container: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    yield container, key
    is_there = key in container if isinstance(container, dict) else key < len(container)
    if is_there and isinstance(container[key], dict | list):
        yield from places(container[key])


def _is_no_junk(junk: Any, before: Any) -> bool:
    """Another truth, another name, another list of codes and an empty one are things that a venue may well say."""
    is_name = isinstance(before, str) and not list(numbers_in(before))
    is_truth = isinstance(before, bool) or before in ("true", "false")
    return (
        (isinstance(junk, bool) and is_truth)
        or (junk == [] and isinstance(before, list))
        or (junk == [1] and isinstance(before, list) and all(type(one) is int for one in before))
        or (is_name and isinstance(junk, str) and junk != "")
    )


def _no_number(reply: Any, dice: random.Random) -> Spoilt:
    def change(container: Any, key: Any, dice: random.Random) -> str:
        junk, before = dice.choice(NO_NUMBER), container[key]
        if _is_no_junk(junk, before) or junk in SAID.get(key, ()):
            return "left"
        if junk is MISSING:
            if isinstance(container, list):
                return "left"
            del container[key]
            return "missing"
        container[key] = copy.deepcopy(junk)
        return f"= {junk!r:.40}"

    return True, *_changed(reply, dice, change)


def _odd(reply: Any, dice: random.Random) -> Spoilt:
    def change(container: Any, key: Any, dice: random.Random) -> str:
        container[key] = dice.choice(ODD) if dice.random() < 0.9 else hostile_text(dice)
        return f"= {container[key]!r:.40}"

    return False, *_changed(reply, dice, change)


def _rows(reply: Any, dice: random.Random) -> Spoilt:
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

    return not are_gone, *_changed(reply, dice, change)


def _text(reply: Any, dice: random.Random) -> Spoilt:
    """What is no reply at all, or one that was cut, flipped or grown on its way."""
    text = json.dumps(reply)
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
    return False, f"{spoilt:.80}", spoilt

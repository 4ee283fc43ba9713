"""What no honest person, venue or service writes."""

import random
from collections.abc import Iterator
from typing import Any

LONG = 10_000
# Every way to begin a new line that some reader knows.
LINE_BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
# Marks that turn the direction of text, and characters that take no room.
INVISIBLE = tuple(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200c\u200d\u2060\ufeff"
)
BROKEN = ("\x00", "\x07", "\x1b[31m", "\x7f", "\ud800", "\udfff", "\ue000", "\U000e0041", "\uffff")
MARKUP = (
    "**bold**",
    "_under_ __line__",
    "~~gone~~",
    "`code` ```block```",
    "||spoiler||",
    "# head",
    "> quote",
    "[free](https://evil.example)",
    "https://evil.example/x",
    "www.evil.example",
    "discord.gg/abc",
    "t.me/abc",
    "<b>bold",
    "</b></i></a>",
    "<a href='tg://user?id=1'>you</a>",
    "<script>alert(1)</script>",
    "&lt;b&gt; &amp;amp; & &#60;b&#62; &nbsp; &bogus;",
    "<!-- x",
    "<![CDATA[x]]>",
    "\\*\\_\\`",
    "{title} {{body}} %s %(x)s ${HOME} :smile:",
)
PINGS = (
    "@everyone",
    "@here",
    "@channel",
    "@some_user",
    "<@123456>",
    "<@!123456>",
    "<@&42>",
    "<#99>",
    "<!channel>",
    "<!here|here>",
    "<!subteam^S012345>",
    "@\u200beveryone",
    "@\u202eeveryone",
    "\uff20everyone",
    "@@everyone",
    "<<@123456>>",
    "@*everyone",
    "@`here",
)
WIDE = (
    "\U0001f525",
    "e\u0301",
    "\u0301",
    "漢",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "&",
    "<",
    ">",
    '"',
    "_",
    "*",
)


def hostile_text(dice: random.Random, line: str = "FORGED") -> str:
    """A name or an error text. A line that it begins by a break of its own starts with `line`."""
    parts = [_part(dice, line) for _ in range(dice.choice((1, 1, 2, 4)))]
    return dice.choice(("", " ", "x")).join(parts)


def _part(dice: random.Random, line: str) -> str:
    kind = dice.randrange(8)
    if kind == 0:
        return f"x{dice.choice(LINE_BREAKS)}{line}: all is well"
    if kind == 1:
        return dice.choice(WIDE) * dice.choice((3, 100, LONG))
    if kind == 2:
        word, mark = dice.choice((*PINGS, "evil.example")), dice.choice((*INVISIBLE, *BROKEN))
        at = dice.randrange(len(word))
        return word[:at] + mark * dice.choice((1, 3)) + word[at:]
    if kind == 3:
        return dice.choice((*INVISIBLE, *BROKEN)) * dice.choice((1, 5, LONG))
    if kind == 4:
        return dice.choice(("a", "main", "BTC/USDT:USDT long", "binanceusdm", "x" * LONG, "word " * (LONG // 5)))
    return dice.choice(PINGS if kind == 5 else MARKUP)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of everything inside a tree of JSON."""
    waiting = [tree]
    while waiting:
        container = waiting.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            yield container, key
            if isinstance(container[key], dict | list):
                waiting.append(container[key])

"""Configurations as a cat, a broken disk or an enemy would save them: settings, or problems with their places."""

import math
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from monitor.config.loader import load
from monitor.config.problems import MAX_PROBLEMS, ConfigError, Problem
from monitor.config.settings import Settings
from monitor.exchange.modes import mode_error
from monitor.exchange.registry import is_venue
from monitor.notify.channels import channel_error
from tests.fuzz.junk import BROKEN, INVISIBLE, LINE_BREAKS, hostile_text
from tests.fuzz.target import Target
from tests.unit.malformed_yaml import CASES, ENV, write_secret_files

GOOD = b"""\
poll_interval: 10s
profile: retail
accounts:
  main: {venue: binanceusdm, api_key: "${KEY}", secret_file: good.txt}
  desk:
    venue: bybit
    channels: [phone]
channels:
  phone: {url: "json://localhost/x", severities: [warning, critical], accounts: ["ma*", desk]}
rules:
  margin_ratio: {warning: 50%, critical: 80%, for: {warning: 30s}}
  doge: {kind: liquidation_distance, where: {symbol: "DOGE/*", account: main}, warning: 30%, critical: 15%}
  funding_exposure: {warning: 0.5%, critical: 2%}
alerts: {critical: {repeat: 5m}}
health: {port: 9000}
"""
CORPUS = (GOOD, *(case.content for case in CASES))
FEW, MANY = (1, 3, 40), (300, 1_000, 2_300, 4_900, 30_000)
# What a file holds of its own in a message is short.
MAX_MESSAGE_CHARS = 500
_BREAK = re.compile("\r\n|\n|\r")
_PRIVATE = (*(value for value in ENV.values() if "canary" in value), "canary-4713")
WORDS = (
    *("&a ", "*a", "<<: *a", "!!python/object/apply:os.system [x]", "!x ", "? ", "- ", ": ", "|\n", ">-\n", "---\n"),
    *("...\n", "%YAML 9.9\n", "%TAG ! tag:x\n", "\t", "#", '"', "'", "{", "}", "[", "]", ",", "\\", '"\\ud800"', "~"),
    *("${", "${KEY}", "${NOT_SET}", "${NOT_SET:-x}", "$${", "null", "true", "nan%", "inf", "-1%", "1e999%", "0%", "0s"),
    *(
        "9" * 400,
        "0x10",
        "1_000",
        "٣s",
        "１０%",
        "1e-400s",
        "10",
        "100000000000d",
        "-5s",
        "..",
        "/dev/zero",
        "good.txt",
    ),
    *LINE_BREAKS,
    *INVISIBLE,
    *BROKEN,
)


def draw(dice: random.Random) -> bytes:
    if dice.random() < 0.1:
        return _shape(dice)
    content: bytes = dice.choice(CORPUS) if dice.random() < 0.5 else GOOD
    for _ in range(dice.choice((0, 1, 1, 2, 4, 12))):
        content = dice.choice(MUTATIONS)(content, dice)
    return content


def _word(dice: random.Random) -> bytes:
    word = dice.choice(WORDS) if dice.random() < 0.9 else hostile_text(dice)
    return word.encode(errors="surrogatepass")


def _cut(content: bytes, dice: random.Random) -> tuple[bytes, bytes, bytes]:
    """Before, within and behind some short stretch."""
    start = dice.randrange(len(content) + 1)
    end = start + dice.choice((0, 1, 1, 2, 8, 40))
    return content[:start], content[start:end], content[end:]


def _removed(content: bytes, dice: random.Random) -> bytes:
    before, _, behind = _cut(content, dice)
    return before + behind


def _repeated(content: bytes, dice: random.Random) -> bytes:
    before, within, behind = _cut(content, dice)
    return before + within * dice.choice((2, 3, 50)) + behind


def _overwritten(content: bytes, dice: random.Random) -> bytes:
    before, within, behind = _cut(content, dice)
    return before + bytes(dice.randrange(256) for _ in within) + behind


def _put_in(content: bytes, dice: random.Random) -> bytes:
    before, _, behind = _cut(content, dice)
    return before + _word(dice) + behind


def _value_replaced(content: bytes, dice: random.Random) -> bytes:
    values = list(re.finditer(rb"(?<=: )[^\n,{}\[\]]+", content))
    if not values:
        return content + _word(dice)
    found = dice.choice(values)
    return content[: found.start()] + _word(dice) + content[found.end() :]


def _lines_moved(content: bytes, dice: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    line = lines.pop(dice.randrange(len(lines)))
    for _ in range(dice.choice((0, 1, 2))):
        lines.insert(dice.randrange(len(lines) + 1), dice.choice((b"", b" ", b"  ", b"      ")) + line)
    return b"".join(lines)


def _spliced(content: bytes, dice: random.Random) -> bytes:
    other: bytes = dice.choice(CORPUS)
    return _cut(content, dice)[0] + _cut(other, dice)[2]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _removed,
    _repeated,
    _overwritten,
    _put_in,
    _value_replaced,
    _lines_moved,
    _spliced,
)


_ACCOUNT = "accounts:\n  main: {venue: okx}\n"
_CHANNEL = "channels: {p: {url: 'json://localhost/x', accounts: ["
# Each matches the last of 2,300 accounts alone.
_GLOBS = ", ".join(f"'[a{chr(0x4E00 + n)}]2299'" for n in range(5_300))
# Head, what is repeated with its number for {n}, and tail.
SHAPES = (
    ("accounts:\n", "  a{n}: {venue: okx, api_key: key-{n}, secret: secret-{n}}\n", ""),
    (f"{_ACCOUNT}channels:\n", "  c{n}: {url: 'json://localhost/{n}'}\n", ""),
    (f"{_ACCOUNT}channels:\n", "  c{n}: {url: 'tgram://12345678:abcdefghijklmnopqrstuvwxyz/{n}'}\n", ""),
    (f"{_ACCOUNT}rules:\n", "  r{n}: {kind: margin_ratio, critical: 80%}\n", ""),
    ("accounts: {main: {venue: okx, channels: [", "c{n}, ", "]}}\n"),
    (f"{_ACCOUNT}{_CHANNEL}", "'*{n}', ", "]}}\n"),
    (f"{_ACCOUNT}rules: {{x: {{kind: margin_ratio, critical: 9%, where: {{account: [", "'m*', ", "]}}}\n"),
    (f"{_CHANNEL}{_GLOBS}]}}}}\naccounts:\n", "  a{n}: {venue: okx}\n", ""),
    (f"{_ACCOUNT}x: ", "[", ""),
    (f"{_ACCOUNT}x: ", "{a: ", ""),
    (f"{_ACCOUNT}x: ", "- ", ""),
    (f"{_ACCOUNT}x: ", "&a ", ""),
    (f"{_ACCOUNT}x: [&a [1], ", "*a, ", "]\n"),
    ("a: &a [x, x]\n", "a{n}: &a{n} [*a, *a]\n", ""),
    (_ACCOUNT, "dup: v\n", ""),
    (_ACCOUNT, "? ", ""),
    (f"{_ACCOUNT}x: ", '"', ""),
    (f"{_ACCOUNT}x: '", "''", "'\n"),
    (f'{_ACCOUNT}x: "', "\\n", '"\n'),
    (f"{_ACCOUNT}x: |\n", "  a\n", ""),
    (f"{_ACCOUNT}x: ", "word\n   ", "\n"),
    (f"{_ACCOUNT}# ", "x", "\n"),
    (_ACCOUNT, "\n", ""),
    (f"{_ACCOUNT}database: '", "${A:-", "'\n"),
    (f"{_ACCOUNT}database: '", "${A:-b}", "'\n"),
    (f"{_ACCOUNT}poll_interval: ", "9", "s\n"),
    (f"{_ACCOUNT}poll_interval: ", "1s", "\n"),
    (f"{_ACCOUNT}rules: {{margin_ratio: {{warning: ", "9", "%}}\n"),
    (f"{_ACCOUNT}health: {{port: ", "9", "}\n"),
    ("accounts: {", "a", ": {venue: okx}}\n"),
    ("accounts: {main: {venue: ", "b", "}}\n"),
    (f"{_ACCOUNT}channels: {{p: {{url: 'json://localhost/", "a/", "'}}\n"),
    (f"{_ACCOUNT}channels: {{p: {{url: 'json://localhost/?", "a=b&", "'}}\n"),
    (f"{_ACCOUNT}channels: {{p: {{url: 'discord://", "a", "'}}\n"),
    (f"{_ACCOUNT}channels: {{p: {{url: 'tgram://", "1234:abcd/", "'}}\n"),
    ("accounts: {main: {venue: okx, base_url: 'https://", "a.", "'}}\n"),
    ("accounts: {main: {venue: okx, secret: '", "\U0001f525", "'}}\n"),
)


def _shape(dice: random.Random) -> bytes:
    head, part, tail = dice.choice(SHAPES)
    count = dice.choice(dice.choice((FEW, MANY)))
    return (head + "".join(part.replace("{n}", str(n)) for n in range(count)) + tail).encode()


def check(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    try:
        settings = load(file, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=ENV)
    except ConfigError as error:
        problems = error.errors
    else:
        return _checked_settings(settings)
    assert 0 < len(problems) <= MAX_PROBLEMS
    lines = _BREAK.split(content.decode("utf-8-sig", "replace"))
    for problem in problems:
        _check_problem(problem, lines)
    return "refused"


def _checked_settings(settings: Settings) -> str:
    assert all(math.isfinite(figure) and figure >= 0 for figure in _figures(settings.model_dump()))
    return "loaded"


def _check_problem(problem: Problem, lines: Sequence[str]) -> None:
    told = str(problem)
    assert told.isprintable(), f"not printable: {told!r}"
    assert len(problem.message) <= MAX_MESSAGE_CHARS, f"{len(problem.message)} characters: {told[:200]}"
    assert not any(value in told for value in _PRIVATE), "a secret is quoted"
    if problem.line is None:
        assert "larger than" in told, f"without a place: {told}"
        return
    assert 1 <= problem.line <= len(lines), f"line {problem.line} of {len(lines)}: {told}"
    width = len(lines[problem.line - 1])
    assert problem.column is not None
    assert 1 <= problem.column <= width + 1, f"column {problem.column} of {width}: {told}"


def _figures(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _figures(member)
    elif isinstance(value, int | float):
        yield value


@contextmanager
def target() -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        write_secret_files(Path(folder))
        channel_error("json://localhost")  # the first URL of any service makes Apprise load all of them
        yield Target(draw, partial(check, Path(folder) / "perpwatch.yaml"))

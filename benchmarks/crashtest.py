"""kill -9 at random instants: `python -m benchmarks.crashtest --kills 1000 --seed 1`.

The real process on a real database against the paper venue and a recording sink with two channels, while alerts fire,
worsen and resolve all the time. It is killed while it starts, as a message arrives and a little after, and at any
other moment; after each kill a copy of the database must be sound. At the end the monitor is left alone until nothing
waits. Then every episode in the database must have been told to each channel and told to be over, and told twice only
with the words "possible repeat". Exits 1 where that does not hold; batches of other seeds add up.
"""

import argparse
import asyncio
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.daemon_kit import CALM, CRITICAL_MARK, WARNING_MARK, House, a_house, a_process, a_trader, eventually
from tests.unit.store_kit import copy_as_after_kill, execute

ACCOUNTS = [f"t{number}" for number in range(6)]
CHANNELS = ("phone", "desk")
RULE = "liquidation_distance"
TOLD = re.compile(r"^(?:(worse: |still )?(?:CRITICAL|WARNING) (\w+): BTC/USDT:USDT long|(resolved) (\w+): BTC/)")
SETTLE_WITHIN_S = 120.0
# What may be told of an account whose episode is open, or is not. A message that may be a repetition fits anywhere.
# An end is called late where news waited that it makes old: the beginning, or a worsening if the beginning was told.
FITS = {True: {"repeat", "worse", "resolved", "late worse"}, False: {"first", "late"}}
ENDS = {"resolved", "late", "late worse"}
MARKED = "possible repeat"


@dataclass
class Figures:
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    messages: int = 0
    marked: int = 0
    episodes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of a message says of one account."""

    account: str
    kind: str
    is_marked: bool


def lines_of(text: str) -> list[Line]:
    """A full message is marked somewhere in it, a digest line by line."""
    rows = text.splitlines()
    is_full = TOLD.match(rows[0]) is not None
    found = []
    for row in rows[:1] if is_full else rows:
        match = TOLD.match(row)
        if match is None:
            continue
        said = text if is_full else row
        kind = "resolved" if match[3] else {"worse: ": "worse", "still ": "repeat"}.get(match[1] or "", "first")
        late = kind == "resolved" and "delivered late" in said
        found.append(Line(match[2] or match[4], "late" if late else kind, MARKED in said))
    return found


async def live(house: House, dice: random.Random, figures: Figures) -> None:
    """One life of the process, and its end."""
    moment = dice.choices(("while it starts", "as a message arrives", "at any moment"), (2, 5, 3))[0]
    figures.starts += 1
    async with a_process(house.folder, "run", "-c", str(house.path)):
        if moment == "while it starts":
            await asyncio.sleep(dice.uniform(0.0, 1.5))
        else:
            before = len(house.sink.messages)
            house.mark(dice.choice((CALM, WARNING_MARK, CRITICAL_MARK)))
            try:
                async with asyncio.timeout(8):
                    await eventually(lambda: len(house.sink.messages) > before)
            except TimeoutError:
                moment = "at any moment"  # nothing was to be told
            await asyncio.sleep(dice.uniform(0.0, 0.05 if moment == "as a message arrives" else 3.0))
    figures.kills[moment] += 1
    _check_soundness(house.database, figures)


def _check_soundness(database: Path, figures: Figures) -> None:
    if not database.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        ((said,), *_) = execute(copy_as_after_kill(database, Path(folder) / "copy"), "PRAGMA integrity_check")
        if said != "ok":
            figures.problems.append(f"the database is damaged: {said}")


async def settle(house: House, figures: Figures) -> None:
    """A last life, left alone until every episode is over and nothing waits; then what was told is looked at."""
    house.mark(CALM)
    figures.starts += 1
    asked = house.server.counts.total()
    async with a_process(house.folder, "run", "-c", str(house.path)) as process:
        # Before it has set up how it ends, SIGTERM ends it by itself: in silence, but there is nothing to lose yet.
        await eventually(lambda: house.server.counts.total() > asked, "the first request")
        await quiet(house.database, SETTLE_WITHIN_S)
        process.terminate()
        await process.communicate()
        if process.returncode != 0:
            figures.problems.append(f"the last process ended with {process.returncode}")


async def quiet(database: Path, within_s: float) -> None:
    """Returns when every episode is over and nothing waits; TimeoutError where that does not come about."""
    async with asyncio.timeout(within_s):
        while True:
            await asyncio.sleep(1.0)
            burning = _count(database, "SELECT count(*) FROM alert WHERE active AND rule = ?", RULE)
            if waiting(database) == burning == 0:
                return


def waiting(database: Path) -> int:
    """Rows of the outbox that are still owed."""
    return _count(database, "SELECT count(*) FROM outbox WHERE finished_at IS NULL")


def _count(database: Path, query: str, *values: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(query, values).fetchone()[0])


def judge(house: House, figures: Figures, accounts: Sequence[str] = ACCOUNTS) -> None:
    """Told against owed, per channel and account."""
    figures.messages += len(house.sink.messages)
    for channel in CHANNELS:
        said = [line for text in house.sink.texts(channel) for line in lines_of(text)]
        figures.marked += sum(line.is_marked for line in said)
        for account in accounts:
            whose = f"{channel} of {account}"
            told = as_read([line for line in said if line.account == account])
            figures.problems += [f"{whose}: {problem}" for problem in out_of_order(told)]
            figures.problems += _incomplete(house.database, channel, account, told, figures)


def as_read(said: Sequence[Line]) -> list[Line]:
    """The lines of one account; who knows of the episode reads of an end that is late that a worsening was not told."""
    told, is_open = [], False
    for line in said:
        told.append(replace(line, kind="late worse") if is_open and line.kind == "late" else line)
        is_open = line.kind not in ENDS
    return told


def out_of_order(told: Sequence[Line]) -> Iterator[str]:
    is_open = False
    for number, line in enumerate(told):
        if line.kind not in FITS[is_open] and not line.is_marked:
            yield f"message {number} says {line.kind}, the episode is open: {is_open}"
        is_open = line.kind not in ENDS


def _incomplete(database: Path, channel: str, account: str, told: Sequence[Line], figures: Figures) -> Iterator[str]:
    """What of the owed was not told, or too often; of an end, also whether it was rightly called late."""
    whose = f"{channel} of {account}"

    def owed(condition: str) -> int:
        """Episodes with such a row."""
        query = "SELECT count(DISTINCT episode) FROM outbox WHERE rule = ? AND account = ? AND target = ? AND "
        return _count(database, query + condition, RULE, account, channel)

    begun, ended = owed("reason != 'resolved'"), owed("reason = 'resolved'")
    figures.episodes += begun
    dead = _count(database, "SELECT count(*) FROM outbox WHERE state = 'dead' AND target = ?", channel)
    first = [line for line in told if line.kind in ("first", "late")]
    over = [line for line in told if line.kind in ENDS]
    unmarked = [sum(not line.is_marked for line in lines) for lines in (first, over)]
    late = sum(line.kind == "late worse" and not line.is_marked for line in told)
    outgrown = owed("reason = 'worse' AND state = 'superseded'")
    if begun != ended or dead:
        yield f"{whose}: {begun} episodes begun, {ended} ended, {dead} given up"
    if len(first) < begun or len(over) < ended:
        yield f"lost: {whose} read {len(first)} of {begun}, {len(over)} of {ended}"
    if unmarked[0] > begun or unmarked[1] > ended:
        yield f"told twice: {whose} read {unmarked} of {begun} and {ended} unmarked"
    if late > outgrown:
        yield f"{whose} read of {late} known episodes that their end is late, {outgrown} had a worsening that waited"


async def crashtest(kills: int, seed: int) -> Figures:
    figures, dice = Figures(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with a_house(Path(folder), speed=None) as house:
            house.yaml.channels = {name: f"{{url: '{house.sink.url(name)}'}}" for name in CHANNELS}
            house.yaml.accounts.clear()
            for name in ACCOUNTS:
                a_trader(house.engine, name)
                house.yaml.account(name)
            house.yaml.more = f"health: {{port: 0}}\ndatabase: {house.database}\n"
            house.yaml.alerts = dict.fromkeys(house.yaml.alerts, "{for: 0s, keep_firing_for: 0s, group_wait: 0s}")
            house.yaml.poll_interval = "1s"
            house.yaml.read_deadline = "10s"
            house.write()
            for _ in range(kills):
                await live(house, dice, figures)
                if figures.problems:
                    break
            await settle(house, figures)
            judge(house, figures)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.crashtest")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    figures = asyncio.run(crashtest(options.kills, options.seed))
    for problem in figures.problems:
        print(f"seed {options.seed}: {problem}", file=sys.stderr)
    print(f"kills {figures.kills.total()}: {dict(figures.kills)}, starts {figures.starts}")
    print(f"messages {figures.messages}, episodes x channels {figures.episodes}, marked repeats {figures.marked}")
    print(f"problems (lost, twice, out of order, damaged) {len(figures.problems)}")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())

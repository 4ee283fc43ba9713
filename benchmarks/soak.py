"""The real process for hours, in bad company: `python -m benchmarks.soak --hours 1 --seed 1`.

`perpwatch run` on a real database reads ten accounts at 1 s, each at a paper venue of its own (one venue would run out
of request weight), and tells two channels, a third and an eleventh account coming and going by edits of the YAML. The
mark moves all the time; venues and channels misbehave as `soak_trouble` draws it from the seed. Every ten seconds the
process is looked at; `--out` is the CSV of these looks, for a run under way, and beside it lies the process's log.

At the end all trouble stops, every episode must come to its end, and what was told is judged as by `crashtest`. Prints
a row for each ten minutes and exits 1 where a bound does not hold. Slopes mean something from an hour on.
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from benchmarks import crashtest, soak_trouble
from benchmarks.rig import measured_on, print_table, verdict
from benchmarks.soak_figures import CSV_HEADINGS, HEADINGS, Sample, bounds, sampled, windows
from benchmarks.soak_trouble import Desk
from monitor.paper.server import PaperServer
from tests.daemon_kit import CALM, House, a_house, a_process, a_trader, eventually
from tests.services import webhook

ACCOUNTS = [f"t{number}" for number in range(10)]
CHANNELS = crashtest.CHANNELS
SPARE = "spare"
SAMPLE_EVERY_S = 10.0
MIN_HOURS = 0.01
# Until the connections that first reads opened are used or closed, and after the last trouble.
REST_S = 90.0
SETTLE_WITHIN_S = 600.0
END_WITHIN_S = 10.0
# As in the container: else each thread that ever ran keeps pages of its own.
ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
STRANGE = re.compile(r"Traceback|never retrieved|Unclosed|was never awaited|a bug in perpwatch")
PORT = re.compile(r"health page.*?port\W+(\d+)")


@dataclass
class Run:
    """One process under observation, and what has been seen of it."""

    house: House
    servers: Sequence[PaperServer]
    process: asyncio.subprocess.Process
    log: Path
    out: TextIO
    port: int = 0
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    requests: int = 0
    refused: int = 0

    def find_port(self) -> int:
        """Of its health page, as its log tells; 0 before."""
        found = PORT.search(self.log.read_text(encoding="utf-8"))
        self.port = int(found[1]) if found else 0
        return self.port

    async def look(self) -> Sample:
        for server in self.servers:
            self.requests += len(server.requests)
            self.refused += sum(request.status != 200 for request in server.requests)
            server.requests.clear()
        sample = await sampled(
            self.process.pid,
            self.port,
            self.house.database,
            at_s=time.monotonic() - self.began,
            messages=len(self.house.sink.messages),
            requests=self.requests,
            refused=self.refused,
        )
        print(sample.as_csv(), file=self.out, flush=True)
        return sample

    async def watch(self, seconds: float) -> None:
        """Look at it every now and then for so long, or until it ends."""
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                self.samples.append(await self.look())
                await asyncio.sleep(SAMPLE_EVERY_S)
        except (ProcessLookupError, FileNotFoundError):
            await self.process.wait()

    def strange(self) -> list[str]:
        """Lines of its log that no trouble excuses."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return [line.strip() for line in lines if STRANGE.search(line)]


@asynccontextmanager
async def a_run(folder: Path, log: Path, out: TextIO) -> AsyncIterator[tuple[Run, list[Desk]]]:
    """The house, its venues and channels, and the process in it, all at rest."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house(folder, speed=None))
        servers = [
            await stack.enter_async_context(PaperServer(house.engine, house.clock)) for _ in [*ACCOUNTS, "guest"]
        ]
        names = (*CHANNELS, SPARE)
        desks = [Desk(name, house.sink, await stack.enter_async_context(webhook())) for name in names]
        _prepare(house, servers, desks)
        process = await stack.enter_async_context(a_process(folder, "run", "-c", str(house.path), **ALLOCATOR))
        file = stack.enter_context(log.open("wb", buffering=0))
        reading = [asyncio.create_task(_kept(stream, file)) for stream in (process.stdout, process.stderr)]
        stack.callback(lambda: [task.cancel() for task in reading])
        run = Run(house, servers, process, log, out)
        await eventually(run.find_port, "the health page")
        yield run, desks


async def _kept(stream: asyncio.StreamReader | None, file: BinaryIO) -> None:
    """What the process says, into the file: it would stand still with its pipe full."""
    assert stream is not None
    while chunk := await stream.read(65_536):
        file.write(chunk)


def _prepare(house: House, servers: Sequence[PaperServer], desks: Sequence[Desk]) -> None:
    """Each account with a little more in its wallet than the one before, so that they fire one after the other."""
    house.yaml.accounts.clear()
    for number, (name, server) in enumerate(zip([*ACCOUNTS, "guest"], servers, strict=True)):
        a_trader(house.engine, name, wallet=12_000 + 150 * number)
        house.yaml.account(name, server=server)
    house.yaml.accounts.pop("guest")
    house.yaml.channels = {desk.name: f"{{url: '{desk.url}'}}" for desk in desks if desk.name != SPARE}
    house.yaml.more = f"health: {{port: 0}}\ndatabase: {house.database}\n"
    house.yaml.alerts = dict.fromkeys(house.yaml.alerts, "{for: 0s, keep_firing_for: 0s, group_wait: 0s}")
    house.yaml.poll_interval = "1s"
    house.yaml.read_deadline = "5s"
    house.write()


async def in_trouble(run: Run, desks: Sequence[Desk], seconds: float, seed: int) -> None:
    def dice(part: str) -> random.Random:
        return random.Random(f"{seed}:{part}")

    *venues, guest = run.servers
    alone = [
        soak_trouble.at_venues([server], dice(f"venue {number}"), soak_trouble.VENUE_CALM_S, soak_trouble.LASTS_S)
        for number, server in enumerate(run.servers)
    ]
    async with soak_trouble.running(
        *alone,
        soak_trouble.at_venues(venues, dice("storm"), soak_trouble.STORM_CALM_S, soak_trouble.STORM_LASTS_S),
        *(desk.suffer(dice(desk.name)) for desk in desks),
        soak_trouble.editing(run.house, dice("edits"), guest, desks[-1].url),
        soak_trouble.moving(run.house, dice("prices")),
    ):
        await run.watch(seconds)


async def settle(run: Run) -> list[str]:
    """Nothing is wrong any more, nothing burns, and the YAML says what it said at the start; what is not over then."""
    run.house.yaml.accounts.pop("guest", None)
    run.house.yaml.channels.pop(SPARE, None)
    run.house.write()
    run.house.mark(CALM)
    try:
        await crashtest.quiet(run.house.database, SETTLE_WITHIN_S)
    except TimeoutError:
        return [f"something waits or burns {SETTLE_WITHIN_S:.0f} s after the last trouble"]
    await asyncio.sleep(REST_S)
    return []


async def end(run: Run) -> list[str]:
    """What was wrong with its end."""
    run.process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_WITHIN_S):
            code = await run.process.wait()
    except TimeoutError:
        return [f"it did not end within {END_WITHIN_S:.0f} s of SIGTERM"]
    return [f"it ended with exit code {code}"] if code else []


async def soak(hours: float, seed: int, out: Path) -> int:
    figures = crashtest.Figures()
    with tempfile.TemporaryDirectory() as folder, out.open("w", encoding="utf-8") as csv:
        print(CSV_HEADINGS, file=csv, flush=True)
        async with a_run(Path(folder), out.with_suffix(".process.log"), csv) as (run, desks):
            await asyncio.sleep(REST_S)
            before = await run.look()
            await in_trouble(run, desks, hours * 3600, seed)
            if run.process.returncode is not None:
                print(
                    f"FAIL  the process ended by itself with exit code {run.process.returncode}; {run.log} tells more"
                )
                return 1
            figures.problems += await settle(run)
            after = await run.look()
            figures.problems += await end(run)
            crashtest.judge(run.house, figures, ACCOUNTS)
            figures.problems += [f"log: {line}" for line in run.strange()]
    return report(run, before, after, figures)


def report(run: Run, before: Sample, after: Sample, figures: crashtest.Figures) -> int:
    print_table(HEADINGS, list(windows(run.samples)))
    rest = ", ".join(
        f"{name} {getattr(before, name)} -> {getattr(after, name)}" for name in ("fds", "threads", "tasks")
    )
    print(f"\nat rest, before and after: {rest}, RSS {before.rss_mb:.1f} -> {after.rss_mb:.1f} MB")
    told = f"messages {figures.messages}, episodes x channels {figures.episodes}, marked repeats {figures.marked}"
    print(f"{told}, problems {len(figures.problems)}")
    for problem in figures.problems[:20]:
        print(f"FAIL  {problem}")
    kept = verdict(bounds(run.samples, before, after, accounts=len(ACCOUNTS) + 1, channels=len(CHANNELS) + 1))
    return 1 if kept or figures.problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.soak")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("state/soak.csv"))
    options = parser.parse_args()
    if options.hours < MIN_HOURS:
        parser.error(f"expected at least {MIN_HOURS:g} hours")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{measured_on()}; {len(ACCOUNTS)} accounts at 1 s, {options.hours:g} h, seed {options.seed}\n", flush=True)
    return asyncio.run(soak(options.hours, options.seed, options.out))


if __name__ == "__main__":
    sys.exit(main())

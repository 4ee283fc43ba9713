"""A monitor to watch: in this process on a fast clock, or as the real process, against a paper venue and a sink."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from monitor.cli.loading import load_to_run
from monitor.clock import Clock, ScaledClock, SystemClock
from monitor.daemon import Daemon
from monitor.domain.account import Side
from monitor.domain.alert import Alert
from monitor.domain.reading import AlertKey
from monitor.paper.engine import Engine
from monitor.paper.server import PaperServer
from monitor.rules.book import RULE_KINDS
from monitor.store.store import Store
from tests.paper import START, linear

REPO = Path(__file__).resolve().parents[1]
# Generous: two busy cores. Nothing waits for it but a test that fails.
PATIENCE_S = 60.0
# Polls each 2 s of its clock: every 80 ms of ours.
SPEED = 25.0


class SkippingClock(ScaledClock):
    """A fast clock that can jump, while nobody sleeps on it."""

    def skip(self, seconds: float) -> None:
        self._origin -= seconds / self._speed


@dataclass
class Sink:
    """What a phone would show: every message any channel `json://.../name` was sent, as `name: title | body`."""

    clock: Clock
    port: int = 0
    times: list[datetime] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)

    def url(self, name: str) -> str:
        return f"json://127.0.0.1:{self.port}/{name}"

    def texts(self, name: str = "phone") -> list[str]:
        return [text for to, text in self.messages if to == name]

    def about(self, pattern: str, name: str = "phone") -> list[str]:
        """The lines that match; a digest has several."""
        return [line for text in self.texts(name) for line in text.splitlines() if re.search(pattern, line)]

    async def handle(self, request: web.Request) -> web.Response:
        name = request.path.strip("/").split("/")[0]
        if request.method != "POST":
            return self._quoted(request)
        body = await request.json()
        self.times.append(self.clock.now())
        self.messages.append((name, f"{body['title']}\n{body['message']}"))
        if name in self.hanging:
            await asyncio.sleep(3600)
        return web.Response(status=self.status.get(name, 200))

    @staticmethod
    def _quoted(request: web.Request) -> web.Response:
        """A server that is no venue refuses, and quotes all that it was sent."""
        said = {"retCode": 10003, "retMsg": f"{request.path_qs} {dict(request.headers)}"}
        return web.json_response(said, status=400)


@asynccontextmanager
async def a_sink(clock: Clock) -> AsyncIterator[Sink]:
    sink = Sink(clock)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", sink.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.port = runner.addresses[0][1]
    try:
        yield sink
    finally:
        await runner.cleanup()


def a_trader(engine: Engine, name: str = "main", *, wallet: float = 12_000, contracts: float = 1.0) -> None:
    """A long of BTCUSDT opened at 100,000, cross; at the mark of 100,000 its margin ratio is about 3 %."""
    engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret")
    engine.deposit(name, "USDT", wallet)
    if contracts:
        engine.open(name, "BTCUSDT", Side.LONG, contracts, 100_000, 10)


def a_market() -> Engine:
    engine = Engine(START)
    for symbol, price in (("BTCUSDT", 100_000.0), ("ETHUSDT", 4_000.0)):
        engine.add_contract(linear(symbol, step=0.001, tick=0.1))
        engine.set_mark(symbol, price)
    return engine


# Of the trader's account: margin ratio 4 %, distance 12 % at the first mark, and what the mark does to them.
CALM, WARNING_MARK, CRITICAL_MARK = 100_000.0, 92_000.0, 89_500.0
ALERTS = {
    "critical": "{for: 0s, keep_firing_for: 4s, group_wait: 0s}",
    "warning": "{for: 0s, keep_firing_for: 4s, group_wait: 0s}",
}
RULES = {**dict.fromkeys(RULE_KINDS, "false"), "liquidation_distance": "{warning: 5%, critical: 3%}"}


@dataclass
class Yaml:
    """A configuration in the making; every member may be changed and the file written again."""

    server_url: str
    channels: dict[str, str]
    accounts: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=lambda: dict(RULES))
    alerts: dict[str, str] = field(default_factory=lambda: dict(ALERTS))
    poll_interval: str = "2s"
    read_deadline: str = "1m"
    more: str = ""

    def account(self, name: str, more: str = "", *, server: PaperServer | None = None) -> None:
        url = self.server_url if server is None else server.base_url
        self.accounts[name] = (
            f"{{venue: binanceusdm, base_url: '{url}', api_key: {name}-key, secret: {name}-secret{more}}}"
        )

    def text(self) -> str:
        def section(name: str, entries: Mapping[str, str]) -> str:
            lines = "".join(f"  {key}: {value}\n" for key, value in entries.items())
            return f"{name}:\n{lines}" if lines else ""

        return (
            f"poll_interval: {self.poll_interval}\nread_deadline: {self.read_deadline}\n"
            + section("accounts", self.accounts)
            + section("channels", self.channels)
            + section("rules", self.rules)
            + section("alerts", self.alerts)
            + self.more
        )


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Returns as soon as it holds; TimeoutError where it does not come about."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # a condition on another's state: nobody sets an event for it
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what or 'it'} did not come about") from None


@dataclass
class House:
    """A venue with the account `main`, a phone, and the files of a monitor; `running` starts one on them."""

    folder: Path
    clock: Clock
    engine: Engine
    server: PaperServer
    sink: Sink
    yaml: Yaml
    # Where the state lies, if not beside the configuration.
    disk: Path | None = None
    daemon: Daemon = field(init=False)
    task: asyncio.Task[None] = field(init=False)

    @property
    def path(self) -> Path:
        return self.folder / "perpwatch.yaml"

    @property
    def database(self) -> Path:
        return (self.disk or self.folder) / "state.db"

    @property
    def store(self) -> Store:
        return self.daemon.store

    def write(self) -> None:
        """As an editor does: a new file in the place of the old."""
        draft = self.folder / ".draft"
        draft.write_text(self.yaml.text())
        draft.replace(self.path)

    def mark(self, price: float) -> None:
        self.engine.set_mark("BTCUSDT", price)

    def alert(self, rule: str, account: str = "main") -> Alert | None:
        return next((a for key, a in self.store.alerts.items() if (key.rule, key.account) == (rule, account)), None)

    def fires(self, rule: str, account: str = "main") -> bool:
        alert = self.alert(rule, account)
        return alert is not None and alert.is_firing

    def key(self, rule: str, account: str = "main") -> AlertKey:
        alert = self.alert(rule, account)
        assert alert is not None
        return alert.key

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Returns as soon as it holds; fails at once where the monitor ended."""

        def ended_or_holds() -> object:
            return self.task.done() or condition()

        try:
            await eventually(ended_or_holds, what)
        except TimeoutError as error:
            told = "\n".join(f"{to}: {text}" for to, text in self.sink.messages)
            raise AssertionError(f"{error}; told so far:\n{told}") from None
        if self.task.done() and not condition():
            await self.task
            raise AssertionError("the monitor ended")

    async def reads(self, count: int = 3, account: str = "main") -> None:
        """Wait for so many further good reads of the account."""
        for _ in range(count):
            sight = self.daemon.watching.sights[account]
            before = sight.last_read_at
            await self.until(lambda: sight.last_read_at != before, "a read")  # noqa: B023

    @asynccontextmanager
    async def running(self, *, serve: bool = False) -> AsyncIterator[Daemon]:
        self.write()
        self.daemon = Daemon(
            load_to_run(self.path),
            self.clock,
            database=self.database,
            config=(self.path, lambda: load_to_run(self.path)),
            serve=serve,
        )
        self.task = asyncio.create_task(self.daemon.run())
        try:
            await self.until(self.daemon.started.is_set, "the start")
            yield self.daemon
        finally:
            self.daemon.stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await self.task


@asynccontextmanager
async def a_house(
    folder: Path, *, speed: float | None = SPEED, start: datetime = START, engine: Engine | None = None
) -> AsyncIterator[House]:
    """`speed` None: real time, for what another process has to agree with. Another `engine` holds `main` as well."""
    clock: Clock = SystemClock() if speed is None else SkippingClock(start, speed)
    if engine is None:
        engine = a_market()
        a_trader(engine)
    async with PaperServer(engine, clock) as server, a_sink(clock) as sink:
        yaml = Yaml(server.base_url, {"phone": f"{{url: '{sink.url('phone')}'}}"})
        yaml.account("main")
        yield House(folder, clock, engine, server, sink, yaml)


async def health_page(port: int, path: str = "/healthz") -> tuple[int, dict[str, Any]]:
    """Status and content."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.json()


def _red(page: dict[str, Any]) -> set[str]:
    return {check["name"] for check in page["checks"] if not check["ok"]}


async def until_red(house: House, port: int, checks: set[str]) -> dict[str, Any]:
    """The page once these checks are red and no others."""
    seen: dict[str, Any] = {}

    async def look() -> bool:
        try:
            status, page = await health_page(port)
        except aiohttp.ClientConnectorError:
            return False  # it is just starting
        seen.update(page, status=status)
        return _red(page) == checks

    for _ in range(400):
        if await look():
            return seen
        await house.clock.sleep(1.0)
    raise AssertionError(f"expected {checks} to be red, the page says {seen}")


# ---- the real process


@dataclass
class Ended:
    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERPWATCH_")}
    return {**kept, "PYTHONPATH": str(REPO), "COLUMNS": "200", **changes}


@asynccontextmanager
async def a_process(folder: Path, *arguments: str, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m monitor ...` in that folder; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "monitor",
        *arguments,
        cwd=folder,
        env=environment(**env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def end_of(process: asyncio.subprocess.Process, within_s: float = PATIENCE_S) -> Ended:
    """Its exit code and words, once it has ended by itself."""
    async with asyncio.timeout(within_s):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def terminated(process: asyncio.subprocess.Process, within_s: float = PATIENCE_S) -> Ended:
    process.send_signal(signal.SIGTERM)
    return await end_of(process, within_s)


# Many commands in one process: half of a command's time is its imports.
_SHELL = """
import contextlib, io, json, sys
from monitor.cli.app import run_command
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(json.loads(line))
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Shell:
    """Commands of `perpwatch`, one after the other, as a process of their own runs them."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SHELL],
            cwd=folder,
            env=environment(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))

    async def __call__(self, *arguments: str | Path) -> Ended:
        """The same for a test whose servers live in this event loop."""
        return await asyncio.to_thread(self.run, *arguments)

    def close(self) -> None:
        self._process.communicate(timeout=PATIENCE_S)

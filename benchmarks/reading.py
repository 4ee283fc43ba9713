"""What one account's read costs: in time beside its slowest single call, in CPU beside a plain ccxt loop.

`python -m benchmarks.reading` prints a table and exits 1 where a bound is exceeded. The venue runs in a process of its
own and answers after 50 ms; it lists 600 contracts, and each account holds ten positions. Each part is measured in a
fresh process, against the same venue.

- Latency: one account's cycle (observe, assess, decide, write) with marks read anew each time, in turn with each of
  its calls alone; the median cycle over the slowest call's median.
- CPU: the whole process's CPU time. Ours is the whole daemon with its state on disk, every tenth account with alerts
  firing, over whole poll intervals: with the rules that need no more than the loop reads, of which the bound is, and
  with all rules of the profile, for which it reads stop orders, bookings, candles and books as well. It reads as many
  accounts every 10 s as Binance lets one address read, on a clock ten times as fast as life. The loop is what one would
  write without perpwatch: a ccxt client per account with ccxt's own defaults, one call after the other, under
  asyncio.run; the daemon runs on the event loop of `perpwatch run`. Markets, brackets and intervals are loaded
  beforehand in both.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from benchmarks.rig import (
    LATENCY_MS,
    Bound,
    key_of,
    measured_on,
    print_table,
    reads_served,
    venue,
    verdict,
    write_config,
)
from monitor.blindness import Sight
from monitor.cli.loading import load_settings
from monitor.cli.run import run_loop
from monitor.clock import Clock, ScaledClock, SystemClock
from monitor.daemon import Daemon
from monitor.domain.account import AccountSnapshot
from monitor.exchange.registry import Exchanges
from monitor.exchange.source import AccountSource
from monitor.log import configure
from monitor.pipeline import run_cycle
from monitor.plan import AccountPlan
from monitor.rules.book import RULE_KINDS
from monitor.store.store import Store
from monitor.watching import access_of

T = TypeVar("T")

ACCOUNTS = 100
AT_FIRST = 25
POLL_INTERVAL_S = 10
# Of all accounts at once: an address may read so many no more often.
BURST_INTERVAL_S = 60
# Of the daemon; over whole minutes, in each of which all is asked that is not asked at every read.
DAEMON_ACCOUNTS = 25
SPEED = 10.0
MINUTE_S = 60
WARM_UP_MINUTES = 5  # settings, terms and first messages
MINUTES = 7
CYCLES = 40
ROUNDS = 5
# The rules that need what the loop reads: positions, balances and funding rates.
SAME_READS = frozenset({"margin_ratio", "liquidation_distance", "funding_exposure"})
LATENCY_BOUND = 1.15
CPU_BOUND = 1 / 10


class JumpingClock(SystemClock):
    """Real time, moved ahead by a poll interval at a time: what a cycle finds due is what it would find in life."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = timedelta()

    def jump(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead.total_seconds()


@dataclass(slots=True)
class Watched:
    """One account as the daemon holds it."""

    plan: AccountPlan
    source: AccountSource
    sight: Sight

    async def cycle(self, store: Store, clock: Clock) -> None:
        observation = await run_cycle(lambda: self.plan, self.source, self.sight, store, clock)
        assert isinstance(observation, AccountSnapshot), observation


async def cycle_latency(base_url: str) -> tuple[dict[str, float], float]:
    """(median milliseconds of each call alone, by path; median milliseconds of the cycle)."""
    clock = JumpingClock()
    with TemporaryDirectory() as folder:
        settings = load_settings(write_config(Path(folder), base_url, accounts=1, poll_interval_s=POLL_INTERVAL_S))
        store, exchanges = await Store.open(settings.database, clock), Exchanges(clock)
        account = _watched(settings, "fund-0", exchanges, clock)
        signed, public = account.source._client, account.source._market._client
        calls = {
            "/fapi/v3/account": signed.fapiPrivateV3GetAccount,
            "/fapi/v3/positionRisk": signed.fapiPrivateV3GetPositionRisk,
            "/fapi/v1/premiumIndex": public.fapiPublicGetPremiumIndex,
        }
        await account.cycle(store, clock)
        clock.jump(60)
        cycles, singles = list[float](), {path: list[float]() for path in calls}
        for _ in range(CYCLES):
            clock.jump(POLL_INTERVAL_S)
            cycles.append(await _milliseconds(account.cycle(store, clock)))
            for path, call in calls.items():
                singles[path].append(await _milliseconds(call()))
        await exchanges.close()
        await store.close()
    return {path: statistics.median(took) for path, took in singles.items()}, statistics.median(cycles)


async def all_at_once(base_url: str) -> tuple[float, float]:
    """(seconds, CPU milliseconds per read) of all accounts' cycles side by side; medians."""
    clock = JumpingClock()
    with TemporaryDirectory() as folder:
        settings = load_settings(
            write_config(Path(folder), base_url, accounts=ACCOUNTS, poll_interval_s=BURST_INTERVAL_S)
        )
        store, exchanges = await Store.open(settings.database, clock), Exchanges(clock)
        accounts = [_watched(settings, name, exchanges, clock) for name in settings.accounts]
        # The first reads ask for settings as well: all of them at once are more than a minute's budget.
        for first in range(0, ACCOUNTS, AT_FIRST):
            await asyncio.gather(*(account.cycle(store, clock) for account in accounts[first : first + AT_FIRST]))
            clock.jump(BURST_INTERVAL_S)
        walls, cpus = list[float](), list[float]()
        for _ in range(ROUNDS):
            clock.jump(BURST_INTERVAL_S)
            started_s, cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(account.cycle(store, clock) for account in accounts))
            walls.append(time.perf_counter() - started_s)
            cpus.append((time.process_time() - cpu_s) * 1000 / ACCOUNTS)
        await exchanges.close()
        await store.close()
    return statistics.median(walls), statistics.median(cpus)


async def whole_daemon(base_url: str, kinds: Collection[str] = RULE_KINDS.keys()) -> float:
    """CPU milliseconds per account read of the daemon; the median of its minutes."""
    configure("warning", "json")
    with TemporaryDirectory() as folder:
        settings = load_settings(
            write_config(Path(folder), base_url, accounts=DAEMON_ACCOUNTS, poll_interval_s=POLL_INTERVAL_S, kinds=kinds)
        )
        daemon = Daemon(settings, ScaledClock(datetime.now(UTC), SPEED), database=settings.database)
        running = asyncio.create_task(daemon.run())
        await daemon.started.wait()
        costs, due = [], DAEMON_ACCOUNTS * MINUTE_S / POLL_INTERVAL_S
        for number in range(WARM_UP_MINUTES + MINUTES):
            reads, cpu_s = reads_served(base_url), time.process_time()
            await asyncio.sleep(MINUTE_S / SPEED)
            spent_s = time.process_time() - cpu_s
            reads = reads_served(base_url) - reads
            if number >= WARM_UP_MINUTES:
                assert due * 0.9 <= reads <= due * 1.1, f"{reads} reads in a minute, {due:.0f} were due"
                costs.append(spent_s * 1000 / reads)
        failures = [sight.failure for sight in daemon.watching.sights.values() if sight.failure is not None]
        assert not failures, failures[0]
        daemon.stop.set()
        await running
    return statistics.median(costs)


async def half_a_ccxt_loop(base_url: str) -> tuple[float, list[float], list[float]]:
    """(seconds for half of the accounts; CPU milliseconds of each read, and of each without funding rates)."""
    clients = [_ccxt_client(base_url, number) for number in range(ACCOUNTS // 2)]
    first = clients[0]
    await first.load_markets()
    positions = await first.fetch_positions()
    held = [position["symbol"] for position in positions]
    assert len(held) == 10
    for client in clients[1:]:
        client.set_markets_from_exchange(first)
        client.options["leverageBrackets"] = first.options["leverageBrackets"]
    with_funding, without = [], []
    started_s = time.perf_counter()
    for client in clients:
        cpu_s = time.process_time()
        await client.fetch_positions()
        await client.fetch_balance()
        without.append((time.process_time() - cpu_s) * 1000)
        await client.fetch_funding_rates(held)
        with_funding.append((time.process_time() - cpu_s) * 1000)
    wall_s = time.perf_counter() - started_s
    for client in clients:
        await client.close()
    return wall_s, with_funding, without


def _watched(settings: Any, name: str, exchanges: Exchanges, clock: Clock) -> Watched:
    source = exchanges.open_account(access_of(settings, name))
    return Watched(AccountPlan.of(settings, name), source, Sight(since=clock.now()))


def _ccxt_client(base_url: str, number: int) -> Any:
    client = ccxt.binanceusdm({"apiKey": key_of(number), "secret": "benchmark-secret"})
    client.options["fetchCurrencies"] = False
    urls = client.urls["api"]
    client.urls["api"] = {name: base_url + urlsplit(url).path for name, url in urls.items() if isinstance(url, str)}
    return client


async def _milliseconds(read: Any) -> float:
    started_s = time.perf_counter()
    await read
    return (time.perf_counter() - started_s) * 1000


def in_a_fresh_process(part: Callable[[str], Any], base_url: str, run: Callable[[Any], Any] = run_loop) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, part, base_url, run).result()


def _run(part: Callable[[str], Any], base_url: str, run: Callable[[Any], Any]) -> Any:
    return run(part(base_url))


def main() -> int:
    print(f"{measured_on()}; venue in its own process, {LATENCY_MS} ms latency, 600 contracts, 10 positions; medians\n")
    with venue() as base_url:
        singles, cycle_ms = in_a_fresh_process(cycle_latency, base_url)
        burst_wall_s, burst_cpu_ms = in_a_fresh_process(all_at_once, base_url)
        # Half of the loop before the daemon and half after it: a machine is not equally quick at all times.
        before = in_a_fresh_process(half_a_ccxt_loop, base_url, asyncio.run)
        daemon_cpu_ms = in_a_fresh_process(partial(whole_daemon, kinds=SAME_READS), base_url)
        all_rules_cpu_ms = in_a_fresh_process(whole_daemon, base_url)
        after = in_a_fresh_process(half_a_ccxt_loop, base_url, asyncio.run)
    loop_wall_s = before[0] + after[0]
    loop_cpu_ms, plain_cpu_ms = (statistics.median(before[part] + after[part]) for part in (1, 2))
    slowest_ms = max(singles.values())
    rows = [(f"call alone: {path}", f"{took:.1f} ms", "") for path, took in singles.items()]
    rows += [
        ("one account's cycle", f"{cycle_ms:.1f} ms", ""),
        (f"{ACCOUNTS} cycles at once", f"{burst_wall_s:.2f} s", f"{burst_cpu_ms:.2f} ms"),
        (f"whole daemon, {DAEMON_ACCOUNTS} accounts, the loop's reads", "", f"{daemon_cpu_ms:.2f} ms"),
        (f"whole daemon, {DAEMON_ACCOUNTS} accounts, all rules", "", f"{all_rules_cpu_ms:.2f} ms"),
        (f"plain ccxt loop, {ACCOUNTS} accounts", f"{loop_wall_s:.2f} s", f"{loop_cpu_ms:.2f} ms"),
        ("the same without funding rates", "", f"{plain_cpu_ms:.2f} ms"),
    ]
    print_table(("measured", "wall", "CPU per account read"), rows)
    return verdict(
        [
            Bound(what="cycle over its slowest call", value=cycle_ms / slowest_ms, at_most=LATENCY_BOUND, unit="x"),
            Bound(what="CPU of the daemon", value=daemon_cpu_ms / loop_cpu_ms, at_most=CPU_BOUND, unit="of the loop's"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

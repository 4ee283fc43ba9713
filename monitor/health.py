"""Is the monitor itself well: its reads, its event loop, its database, its channels, and what waits to be told.

`Health` answers for people and for the heartbeat. `LoopLag` measures the event loop, and the `Watchdog` thread ends
a process whose loop hangs: what hangs can tell nobody, and a restart resumes from the store. An exchange that cannot
be read is unhealthy, and no reason to restart.
"""

import faulthandler
import os
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TextIO

import aiohttp

from monitor.clock import Clock
from monitor.domain.notification import Notification
from monitor.domain.reading import Severity
from monitor.log import get_logger, redact, register_secret

READS_FRESH_FOR_POLLS = 3
READS_FRESH_FOR_AT_LEAST_S = 30.0
MAX_LOOP_LAG_S = 5.0
# A stall stays visible for a minute after it: whoever asks, asks after it.
LAG_REMEMBERED_BEATS = 60
BEAT_EVERY_S = 1.0
MAX_CRITICAL_WAIT_S = 60.0
HEARTBEAT_EVERY_S = 60.0
HEARTBEAT_DEADLINE_S = 10.0
WATCHDOG_LIMIT_S = 60.0
WATCHDOG_EXIT_CODE = 70  # EX_SOFTWARE

_log = get_logger(__name__)


def max_read_age_s(poll_interval_s: float) -> float:
    """How old an account's last good read may be."""
    return max(READS_FRESH_FOR_POLLS * poll_interval_s, READS_FRESH_FOR_AT_LEAST_S)


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    ok: bool
    at: datetime
    checks: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without secrets."""
        return {"ok": self.ok, "at": self.at.isoformat(), "checks": [asdict(check) for check in self.checks]}


class LoopLag:
    """How late the event loop is. Give it real time: a loop lags in real seconds, however fast the clock runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_at = clock.monotonic()
        self._lags: deque[float] = deque(maxlen=LAG_REMEMBERED_BEATS)

    async def run(self, on_beat: Callable[[], None]) -> None:
        """Measure each second, for ever; `on_beat` feeds the watchdog."""
        while True:
            self._beat_at = self._clock.monotonic()
            on_beat()
            await self._clock.sleep(BEAT_EVERY_S)
            self._lags.append(self._current_s())

    @property
    def worst_s(self) -> float:
        """The worst lag of the last minute, the present one included."""
        return max(self._current_s(), *self._lags, 0.0)

    def _current_s(self) -> float:
        return self._clock.monotonic() - self._beat_at - BEAT_EVERY_S


class Health:
    """Collects what is asked of it. The callables are asked at each report.

    `failing_since` is the store's; `undelivered` gives the open outbox rows; `channels` what is wrong with each
    channel by name, None where it works.
    """

    def __init__(
        self,
        clock: Clock,
        lag: LoopLag,
        *,
        failing_since: Callable[[], datetime | None],
        undelivered: Callable[[], Iterable[Notification]],
        channels: Callable[[], Mapping[str, str | None]],
    ) -> None:
        self._clock = clock
        self._lag = lag
        self._failing_since = failing_since
        self._undelivered = undelivered
        self._channels = channels
        self._max_age_s: dict[str, float] = {}
        self._watched_since: dict[str, float] = {}
        self._read_at: dict[str, float] = {}

    def watch(self, max_age_s: Mapping[str, float]) -> None:
        """Answer for these accounts from now on, and for no others; the values are their reads' greatest good age."""
        now = self._clock.monotonic()
        self._max_age_s = dict(max_age_s)
        self._watched_since = {name: self._watched_since.get(name, now) for name in max_age_s}
        self._read_at = {name: at for name, at in self._read_at.items() if name in max_age_s}

    def good_read(self, account: str) -> None:
        if account in self._max_age_s:
            self._read_at[account] = self._clock.monotonic()

    def report(self) -> HealthReport:
        checks = (*self._vital_checks(), *self._channel_checks())
        return HealthReport(ok=all(check.ok for check in checks), at=self._clock.now(), checks=checks)

    def vital_problems(self) -> tuple[Check, ...]:
        """What keeps the heartbeat from being sent: all but a channel that fails, which the others can tell of."""
        return tuple(check for check in self._vital_checks() if not check.ok)

    def _vital_checks(self) -> tuple[Check, ...]:
        return (*self._read_checks(), self._loop_check(), self._database_check(), self._outbox_check())

    def _read_checks(self) -> tuple[Check, ...]:
        if not self._max_age_s:
            return (Check("reads", ok=False, detail="no account is watched"),)
        return tuple(self._read_check(account, limit_s) for account, limit_s in sorted(self._max_age_s.items()))

    def _read_check(self, account: str, limit_s: float) -> Check:
        now = self._clock.monotonic()
        read_at = self._read_at.get(account)
        age_s = now - (self._watched_since[account] if read_at is None else read_at)
        when = f"no good read in {age_s:.0f} s" if read_at is None else f"last good read {age_s:.0f} s ago"
        return Check(f"reads:{account}", ok=age_s <= limit_s, detail=f"{when}, at most {limit_s:.0f} s is good")

    def _loop_check(self) -> Check:
        worst_s = self._lag.worst_s
        detail = f"at most {worst_s:.2f} s late in the last minute, {MAX_LOOP_LAG_S:.0f} s is a stall"
        return Check("loop", ok=worst_s < MAX_LOOP_LAG_S, detail=detail)

    def _database_check(self) -> Check:
        since = self._failing_since()
        detail = "writes" if since is None else f"has not written since {since.isoformat(timespec='seconds')}"
        return Check("database", ok=since is None, detail=detail)

    def _outbox_check(self) -> Check:
        now = self._clock.now()
        waits = [
            (now - row.created_at).total_seconds()
            for row in self._undelivered()
            if row.severity is Severity.CRITICAL and row.state.is_open
        ]
        oldest_s = max(waits, default=0.0)
        detail = f"{len(waits)} critical messages wait, the oldest for {oldest_s:.0f} s" if waits else "nothing waits"
        return Check("outbox", ok=oldest_s < MAX_CRITICAL_WAIT_S, detail=detail)

    def _channel_checks(self) -> tuple[Check, ...]:
        return tuple(
            Check(f"channel:{name}", ok=problem is None, detail="works" if problem is None else redact(problem))
            for name, problem in sorted(self._channels().items())
        )


async def http_get(url: str) -> int:
    """The status of a GET. Raises aiohttp.ClientError, OSError or TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=HEARTBEAT_DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session, session.get(url) as response:
        return response.status


class Heartbeat:
    """The dead man's switch: a call a minute to a service that raises the alarm when the calls stop."""

    def __init__(self, url: str, http_get: Callable[[str], Awaitable[int]], clock: Clock, health: Health) -> None:
        # Whoever knows the URL can keep the switch from ever going off.
        register_secret(url)
        self._url = url
        self._http_get = http_get
        self._clock = clock
        self._health = health

    async def run(self) -> None:
        while True:
            await self.beat()
            await self._clock.sleep(HEARTBEAT_EVERY_S)

    async def beat(self) -> bool:
        """Call once, if all is well; True where the service took it. Never raises for a call that fails."""
        problems = self._health.vital_problems()
        if problems:
            _log.warning("heartbeat withheld", problems=[f"{check.name}: {check.detail}" for check in problems])
            return False
        try:
            async with self._clock.deadline(HEARTBEAT_DEADLINE_S):
                status = await self._http_get(self._url)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _log.warning("heartbeat failed", error=type(error).__name__, detail=redact(str(error)))
            return False
        if not 200 <= status < 300:
            _log.warning("heartbeat refused", status=status)
            return False
        return True


class Watchdog:
    """A thread that ends the process when `beat` has not been called for `limit_s` of real time.

    Time during which the thread itself did not run (a suspended machine, a paused container) does not count.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        limit_s: float = WATCHDOG_LIMIT_S,
        check_every_s: float = BEAT_EVERY_S,
        exit_process: Callable[[int], object] = os._exit,
        stream: TextIO | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._check_every_s = check_every_s
        self._exit_process = exit_process
        self._stream = stream or sys.stderr
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._beats = 0
        self._seen_beats = 0
        self._stalled_s = 0.0
        self._checked_at = monotonic()

    def start(self) -> None:
        self._checked_at = self._monotonic()
        self._thread.start()

    def beat(self) -> None:
        """Called by the event loop each second."""
        self._beats += 1

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=2 * self._check_every_s)

    def check(self) -> bool:
        """Look once; True where the loop has been still for too long."""
        now = self._monotonic()
        passed_s = min(now - self._checked_at, 2 * self._check_every_s)
        self._checked_at = now
        beats = self._beats
        self._stalled_s = 0.0 if beats != self._seen_beats else self._stalled_s + passed_s
        self._seen_beats = beats
        return self._stalled_s >= self._limit_s

    def _run(self) -> None:
        while not self._stopped.wait(self._check_every_s):
            if self.check():
                self._end()
                return

    def _end(self) -> None:
        # Not through logging: the thread that hangs may hold its lock.
        sentence = f"perpwatch: the event loop has been still for {self._stalled_s:.0f} s; where it hangs:\n"
        try:
            os.write(self._stream.fileno(), sentence.encode())
            faulthandler.dump_traceback(file=self._stream, all_threads=True)
        finally:
            self._exit_process(WATCHDOG_EXIT_CODE)

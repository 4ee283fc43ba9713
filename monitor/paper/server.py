"""The paper exchange over HTTP on 127.0.0.1, in one venue's dialect, signatures checked.

It only reads the engine: whoever moves the marks moves the engine's time as well. The server's own time is its Clock's.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from monitor.clock import Clock
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultBook, FaultKind, Reply, spoil
from monitor.paper.formats import milliseconds

REQUESTS_KEPT = 10_000
LONGEST_HANG_S = 3600.0
SHUTDOWN_S = 1.0
TOO_MANY = Fault(kind=FaultKind.RATE_LIMITED, retry_after_s=60)


@dataclass(frozen=True, slots=True)
class Served:
    """One line of the request log; `status` 0 is a request that was never answered."""

    time: datetime
    method: str
    path: str
    api_key: str
    status: int


class PaperServer:
    """`async with PaperServer(engine, clock) as server:` serves at `server.base_url` until the block ends.

    `dialect` is the venue's it speaks for. `requests` logs the last 10,000 requests, `counts` counts all by name (or as
    unknown), `in_flight` the unanswered. With `weight_limit` what is beyond it in a minute is answered 429.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        dialect: Dialect = BINANCE,
        port: int = 0,
        weight_limit: int | None = None,
    ) -> None:
        self.requests: deque[Served] = deque(maxlen=REQUESTS_KEPT)
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.engine = engine
        self._clock = clock
        self._dialect = dialect
        self._port = port
        self._weight_limit = weight_limit
        self._weights: dict[str, tuple[int, int]] = {}
        self._profiles: dict[str, Any] = {}
        self._faults = FaultBook()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # --- life ---

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S, handle_signals=False
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    # --- control ---

    def misbehave(self, fault: Fault) -> None:
        """From the next request on. Faults add up: latencies are all waited, then the first that answers wins."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        self._faults.clear()

    def set_profile(self, account: str, **changes: Any) -> None:
        """Change what the venue tells of an account, by the names of the fields of the dialect's profile."""
        self._profiles[account] = replace(self._profile_of(account), **changes)

    def _profile_of(self, account: str) -> Any:
        return self._profiles.get(account, self._dialect.profile)

    # --- one request ---

    async def _serve(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        name, api_key = self._dialect.name_of(asked), self._dialect.key_of(asked)
        found = self._dialect.find(request.method, request.path)
        self.counts[name if found else "unknown"] += 1
        self.in_flight += 1
        status = 0
        try:
            reply = await self._reply(request, asked, name, api_key, found)
            status = reply.status
        finally:
            self.in_flight -= 1
            self.requests.append(Served(self._clock.now(), request.method, name, api_key, status))
        used = self._weights.get(self._dialect.family(request.path), (0, 0))[1]
        headers = {**dict(reply.headers), **self._dialect.headers(request.path, used)}
        return web.Response(status=reply.status, text=reply.body, content_type=reply.content_type, headers=headers)

    async def _reply(
        self,
        request: web.Request,
        asked: Asked,
        name: str,
        api_key: str,
        found: tuple[Endpoint, Mapping[str, str]] | None,
    ) -> Reply:
        faults = self._faults.take(name, api_key)
        for fault in faults.values():
            if fault.kind is FaultKind.LATENCY:
                await self._clock.sleep(fault.seconds)
            elif fault.kind is FaultKind.HANG:
                await self._hang()
            elif fault.kind is FaultKind.DROPPED:
                await _drop(request)
        skew_s = sum(fault.seconds for fault in faults.values() if fault.kind is FaultKind.CLOCK_SKEW)
        now_ms = milliseconds(self._clock.now()) + round(1000 * skew_s)
        refused = _first(faults, lambda fault: self._dialect.refusal(fault, now_ms))
        if refused is not None:
            return refused
        if found is None:
            return self._dialect.error(ApiError(404, -5000, f"Path {asked.path}, Method {asked.method} is invalid"))
        endpoint, in_path = found
        if self._over_limit(endpoint, asked) and (too_many := self._dialect.refusal(TOO_MANY, now_ms)) is not None:
            return too_many
        try:
            payload = endpoint.render(self._call(endpoint, in_path, asked, now_ms))
        except ApiError as refusal_of_venue:
            return self._dialect.error(refusal_of_venue)
        flat = partial(self._dialect.without_positions, name)
        reply = _first(faults, lambda fault: spoil(fault, payload, flat)) or Reply(200, json.dumps(payload))
        for number, fault in faults.items():
            if fault.kind is FaultKind.STALE:
                reply = self._faults.frozen(number, f"{name} {api_key} {self._unsigned(asked)}", reply)
        return reply

    def _call(self, endpoint: Endpoint, in_path: Mapping[str, str], asked: Asked, now_ms: int) -> Call:
        params = {**asked.params, **in_path}
        if not endpoint.signed:
            return Call(self.engine, now_ms, params, body=asked.body)
        account = self._dialect.authorise(self.engine, asked, now_ms)
        return Call(self.engine, now_ms, params, account, self._profile_of(account.name), asked.body)

    async def _hang(self) -> None:
        """Never answer, but for the server's end: an hour on the clock stands for never."""
        try:
            async with self._clock.deadline(LONGEST_HANG_S):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _over_limit(self, endpoint: Endpoint, asked: Asked) -> bool:
        """Count the request's weight against its family's minute."""
        family, minute = self._dialect.family(asked.path), int(self._clock.now().timestamp() // 60)
        counted_minute, used = self._weights.get(family, (minute, 0))
        weight = endpoint.weight
        if endpoint.weight_of_all is not None and "symbol" not in asked.params:
            weight = endpoint.weight_of_all
        used = weight + (used if counted_minute == minute else 0)
        self._weights[family] = (minute, used)
        return self._weight_limit is not None and used > self._weight_limit

    def _unsigned(self, asked: Asked) -> str:
        """What a request asks for, without what changes from one signing to the next."""
        kept = [(name, value) for name, value in asked.params.items() if name not in self._dialect.volatile]
        return urlencode(kept) + asked.body


async def _asked(request: web.Request) -> Asked:
    query = request.raw_path.partition("?")[2]
    return Asked(
        method=request.method,
        path=request.path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.text(),
        params=dict(parse_qsl(query, keep_blank_values=True)),
    )


async def _drop(request: web.Request) -> None:
    """The connection ends instead of an answer; this handler is cancelled with it."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(SHUTDOWN_S)


def _first(faults: Mapping[int, Fault], answer: Callable[[Fault], Reply | None]) -> Reply | None:
    return next((reply for fault in faults.values() if (reply := answer(fault)) is not None), None)

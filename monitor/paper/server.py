"""The paper exchange over HTTP: Binance's USDS-M and COIN-M REST on 127.0.0.1, signatures checked.

It only reads the engine: whoever moves the marks moves the engine's time as well. The server's own time is its Clock's.
"""

import asyncio
import hashlib
import hmac
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from monitor.clock import Clock
from monitor.paper import dapi, fapi
from monitor.paper.binance import ApiError, Call, Endpoint, Profile, milliseconds
from monitor.paper.book import Account
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultBook, FaultKind, Reply, error, refusal, spoil

ENDPOINTS: Mapping[str, Endpoint] = {**fapi.ENDPOINTS, **dapi.ENDPOINTS, **dapi.SPOT_ENDPOINTS}
REQUESTS_KEPT = 10_000
LONGEST_HANG_S = 3600.0
SHUTDOWN_S = 1.0
# How far ahead of the server a timestamp may be, and how old where the client names no window.
AHEAD_MS, WINDOW_MS, LONGEST_WINDOW_MS = 1000, 5000, 60000
UNSIGNED = ("timestamp", "signature", "recvWindow")


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

    `requests` logs the last 10,000 requests, `counts` counts all by path (or as unknown), `in_flight` the unanswered.
    With `weight_limit` (2,400 a minute at Binance) what is beyond it is answered 429.
    """

    def __init__(self, engine: Engine, clock: Clock, *, port: int = 0, weight_limit: int | None = None) -> None:
        self.requests: deque[Served] = deque(maxlen=REQUESTS_KEPT)
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.engine = engine
        self._clock = clock
        self._port = port
        self._weight_limit = weight_limit
        self._weights: dict[str, tuple[int, int]] = {}
        self._profiles: dict[str, Profile] = {}
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
        """Change what the venue tells of an account, by the names of `Profile`'s fields."""
        self._profiles[account] = replace(self._profiles.get(account, Profile()), **changes)

    # --- one request ---

    async def _serve(self, request: web.Request) -> web.Response:
        path, api_key = request.path, request.headers.get("X-MBX-APIKEY", "")
        endpoint = ENDPOINTS.get(path) if request.method == "GET" else None
        self.counts[path if path in ENDPOINTS else "unknown"] += 1
        self.in_flight += 1
        status = 0
        try:
            reply = await self._reply(request, endpoint, path, api_key)
            status = reply.status
        finally:
            self.in_flight -= 1
            self.requests.append(Served(self._clock.now(), request.method, path, api_key, status))
        headers = dict(reply.headers) | self._weight_header(path)
        return web.Response(status=reply.status, text=reply.body, content_type=reply.content_type, headers=headers)

    async def _reply(self, request: web.Request, endpoint: Endpoint | None, path: str, api_key: str) -> Reply:
        faults = self._faults.take(path, api_key)
        for fault in faults.values():
            if fault.kind is FaultKind.LATENCY:
                await self._clock.sleep(fault.seconds)
            elif fault.kind is FaultKind.HANG:
                await self._hang()
            elif fault.kind is FaultKind.DROPPED:
                await _drop(request)
        skew_s = sum(fault.seconds for fault in faults.values() if fault.kind is FaultKind.CLOCK_SKEW)
        now_ms = milliseconds(self._clock.now()) + round(1000 * skew_s)
        refused = _first(faults, lambda fault: refusal(fault, now_ms))
        if refused is not None:
            return refused
        query = request.raw_path.partition("?")[2]
        if endpoint is None:
            return error(404, -5000, f"Path {path}, Method {request.method} is invalid")
        if self._over_limit(path, endpoint, query):
            return error(429, -1003, "Too many requests; please use the websocket.", (("Retry-After", "60"),))
        try:
            payload = endpoint.render(self._call(endpoint, query, api_key, now_ms))
        except ApiError as refusal_of_venue:
            return error(refusal_of_venue.status, refusal_of_venue.code, refusal_of_venue.message)
        reply = _first(faults, lambda fault: spoil(fault, payload)) or Reply(200, json.dumps(payload))
        for number, fault in faults.items():
            if fault.kind is FaultKind.STALE:
                reply = self._faults.frozen(number, f"{path} {api_key} {_asked(query)}", reply)
        return reply

    def _call(self, endpoint: Endpoint, query: str, api_key: str, now_ms: int) -> Call:
        params = dict(parse_qsl(query, keep_blank_values=True))
        if not endpoint.signed:
            return Call(self.engine, now_ms, params)
        account = authorise(self.engine, query, params, api_key, now_ms)
        return Call(self.engine, now_ms, params, account, self._profiles.get(account.name, Profile()))

    async def _hang(self) -> None:
        """Never answer, but for the server's end: an hour on the clock stands for never."""
        try:
            async with self._clock.deadline(LONGEST_HANG_S):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _over_limit(self, path: str, endpoint: Endpoint, query: str) -> bool:
        """Count the request's weight against its API's minute."""
        family, minute = _family(path), int(self._clock.now().timestamp() // 60)
        counted_minute, used = self._weights.get(family, (minute, 0))
        weight = endpoint.weight
        if endpoint.weight_of_all is not None and "symbol" not in _asked(query):
            weight = endpoint.weight_of_all
        used = weight + (used if counted_minute == minute else 0)
        self._weights[family] = (minute, used)
        return self._weight_limit is not None and used > self._weight_limit

    def _weight_header(self, path: str) -> dict[str, str]:
        family = _family(path)
        name = "X-SAPI-USED-IP-WEIGHT-1M" if family == "sapi" else "X-MBX-USED-WEIGHT-1M"
        return {name: str(self._weights.get(family, (0, 0))[1])}


def authorise(engine: Engine, query: str, params: Mapping[str, str], api_key: str, now_ms: int) -> Account:
    """The account a signed request is for; ApiError in Binance's words otherwise."""
    if not api_key:
        raise ApiError(401, -2014, "API-key format invalid.")
    account = engine.account_of_key(api_key)
    if account is None:
        raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action, request ip: 127.0.0.1")
    for name in ("timestamp", "signature"):
        if not params.get(name):
            raise ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    try:
        timestamp, window = int(params["timestamp"]), int(params.get("recvWindow", WINDOW_MS))
    except ValueError:
        raise ApiError(400, -1100, "Illegal characters found in a parameter.") from None
    if window > LONGEST_WINDOW_MS:
        raise ApiError(400, -1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + AHEAD_MS:
        raise ApiError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    signed_part = query.rpartition("&signature=")[0]
    expected = hmac.new(account.secret.encode(), signed_part.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, params["signature"]):
        raise ApiError(400, -1022, "Signature for this request is not valid.")
    return account


async def _drop(request: web.Request) -> None:
    """The connection ends instead of an answer; this handler is cancelled with it."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(SHUTDOWN_S)


def _first(faults: Mapping[int, Fault], answer: Callable[[Fault], Reply | None]) -> Reply | None:
    return next((reply for fault in faults.values() if (reply := answer(fault)) is not None), None)


def _asked(query: str) -> str:
    """What a request asks for, without what changes from one signing to the next."""
    return urlencode([(name, value) for name, value in parse_qsl(query) if name not in UNSIGNED])


def _family(path: str) -> str:
    """Each of Binance's APIs counts weight on its own: fapi, dapi, sapi, api."""
    return path.split("/")[1]

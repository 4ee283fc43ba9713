"""ccxt clients made strict: they do and send nothing but reads, take nothing but JSON, and fail with `ReadError` alone.

A client is the real ccxt class (it signs, sends and knows the venue's errors) with the two ends of a request replaced.
Clients of one venue share session, TLS context, market list, request budget and clock offset.
"""

import logging
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import ccxt.async_support as ccxt
import certifi

from monitor.clock import Clock
from monitor.domain.account import FailureKind
from monitor.exchange.budget import Budget
from monitor.exchange.failures import DEFAULT_BAN_S, ReadError, Reply, failed_reply, failed_request
from monitor.exchange.guard import Further, endpoints_of, gets_of, inside_a_listed_call, listed_calls_alone
from monitor.exchange.modes import Mode, turn_to
from monitor.exchange.values import MAX_DECIMALS, plain_number, refuse_endless_numbers
from monitor.log import register_secret

# ccxt formats keys and whole replies into DEBUG records of its logger; this level no handler can lower.
_CCXT_LOGGER = logging.getLogger("perpwatch.ccxt")
_CCXT_LOGGER.setLevel(logging.WARNING)

# Reads have deadlines of their own on our Clock; this is the net below them, in real time.
REQUEST_TIMEOUT_MS = 60_000
KEEPALIVE_S = 75.0
CONNECTIONS = 200
# The longest replies, lists of all contracts, have a few millions.
MAX_REPLY_BYTES = 32_000_000
_WORD = re.compile(r'"\w{1,40}"', re.ASCII)
PUBLIC_CREDENTIALS = frozenset({"walletAddress", "uid", "accountId"})


@dataclass(slots=True)
class ClockOffset:
    """How far our clock is ahead of the venue's, shared by all its clients; learnt by `resync`."""

    milliseconds: int = 0


def nothing_told(_headers: Mapping[str, str], _path: str) -> int | None:
    return None


def of_the_address(_reply: Reply) -> datetime | None:
    return None


def what_it_said(reply: Mapping[str, Any]) -> tuple[object, object]:
    """Code and message under the names that most venues use; None where it has none."""
    code = next((reply[key] for key in ("code", "retCode", "error", "label") if key in reply), None)
    return code, next((reply[key] for key in ("msg", "retMsg", "message") if key in reply), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a client must know of its venue: what may be called and sent, what it weighs, what error codes mean.

    `calls` are names of ccxt's methods, unified or implicit; `permits` is asked with HTTP method and path.
    `weights` are by path, or by path and the `type` asked for where one path answers several questions; `paces` are
    calls a second by path, where an address may make fewer of it than of the venue's calls together. `used_weight`
    finds in a reply's headers (small letters) what the venue counts for this minute, by the path that was asked for,
    `said` the code and message of a refusal; `words` (small letters) stand for a code where a reply of status 400 and
    up holds them. `ban_s` is how long a ban lasts that names no end. `own_limit` tells from a signed call's refusal
    when its account may ask again; None where the refusal is of the address, which all accounts on it then leave alone.
    Calls of the paths `apart` are counted by themselves: such a refusal stops no other call. `bare_words`: some replies
    are a single word in quotes. `further` are endpoints that ccxt does not know.
    """

    calls: frozenset[str]
    permits: Callable[[str, str], bool]
    weights: Mapping[str, int] = field(default_factory=dict)
    paces: Mapping[str, int] = field(default_factory=dict)
    kinds_by_code: Mapping[str, FailureKind] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    used_weight: Callable[[Mapping[str, str], str], int | None] = nothing_told
    said: Callable[[Mapping[str, Any]], tuple[object, object]] = what_it_said
    words: tuple[str, ...] = ()
    ban_s: float = DEFAULT_BAN_S
    own_limit: Callable[[Reply], datetime | None] = of_the_address
    apart: frozenset[str] = frozenset()
    bare_words: bool = False
    further: tuple[Further, ...] = ()

    @classmethod
    def of_reads(cls, reads: Mapping[str, str], **others: Any) -> Self:
        """Of a venue all whose reads are GETs: the URL path by ccxt's name of the call. `others` are further fields."""
        return cls(calls=frozenset(reads), permits=gets_of(reads.values()), **others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the clients of one venue, address and base URL have in common."""

    clock: Clock
    session: aiohttp.ClientSession
    ssl_context: ssl.SSLContext
    budget: Budget
    offset: ClockOffset
    patience_s: float


_replies: ContextVar[list[object] | None] = ContextVar("replies", default=None)


@contextmanager
def recorded_replies() -> Iterator[list[object]]:
    """The raw replies of every request made inside the block by this task."""
    replies: list[object] = []
    token = _replies.set(replies)
    try:
        yield replies
    finally:
        _replies.reset(token)


def is_venue(venue_id: str) -> bool:
    """Whether ccxt knows an exchange by that id."""
    return venue_id in ccxt.exchanges


def new_ssl_context() -> ssl.SSLContext:
    """Costly (25 ms, 1 MB): one for all sessions."""
    return ssl.create_default_context(cafile=certifi.where())


def new_session(ssl_context: ssl.SSLContext) -> aiohttp.ClientSession:
    """For strict clients alone: it keeps connections alive between polls, keeps no cookies and follows no redirect."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(_refuse_unlisted)
    tracing.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl_context, limit=CONNECTIONS, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_BoundedReply,
        trace_configs=[tracing],
    )


class _BoundedReply(aiohttp.ClientResponse):
    """Of a reply is taken no more than one may have: a compressed megabyte can unfold into gigabytes."""

    async def read(self) -> bytes:
        if self._body is None:
            try:
                self._body = await self._within_bounds()
            except BaseException:
                self.close()
                raise
        return await super().read()

    async def _within_bounds(self) -> bytes:
        body = bytearray()
        while piece := await self.content.readany():
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise ReadError(FailureKind.MALFORMED, f"a reply of more than {MAX_REPLY_BYTES:,} bytes")
        return bytes(body)


async def _refuse_unlisted(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
    """The last door: whoever has the session in hand sends nothing with it outside of a listed call."""
    if not inside_a_listed_call():
        detail = f"refused to send {request.method} {request.url.path}: perpwatch only reads"
        raise ReadError(FailureKind.UNSUPPORTED, detail)


async def _refuse_redirect(*_: object) -> None:
    """A signed request goes to the venue it was signed for, and nowhere else."""
    raise ReadError(FailureKind.MALFORMED, "the venue answered with a redirect, which is not followed")


def strict_client(
    venue_id: str,
    credentials: Mapping[str, str],
    *,
    rules: Rules,
    shared: Shared,
    base_url: str | None = None,
    mode: Mode = Mode.LIVE,
    proxy: str | None = None,
    options: Mapping[str, Any] | None = None,
    public: Any = None,
) -> Any:
    """A ccxt client of that venue whose calls and requests obey `rules`.

    `credentials` go by ccxt's names (apiKey, secret, ...). `base_url` takes the place of scheme and host of every URL
    (its own path, if any, goes in front); `proxy` is an http(s) URL; `public` is the venue's client that holds the
    market list. Call `release` when done; the session stays its owner's.
    """
    for name, value in credentials.items():
        if name not in PUBLIC_CREDENTIALS:
            register_secret(value)
    if proxy is not None:
        register_secret(urlsplit(proxy).password or "")
    config: dict[str, Any] = {
        **credentials,
        "enableRateLimit": False,
        "timeout": REQUEST_TIMEOUT_MS,
        "session": shared.session,
        "options": {"fetchCurrencies": False, **rules.options, **(options or {})},
    }
    # `resync` is ours: the one call that is not of ccxt.
    client = _strict_class(venue_id, rules.calls | {"resync"}, rules.further)(config)
    client.rules, client.shared, client.public = rules, shared, public
    client.logger = _CCXT_LOGGER
    client.ssl_context = shared.ssl_context
    client.aiohttp_proxy = proxy
    client.has = {**client.has, "fetchCurrencies": False}
    turn_to(client, mode)
    for further in rules.further:
        client.urls["api"].setdefault(further.api, _beside(client.urls["api"], further.at))
    client.base_path = ""
    if base_url is not None:
        client.base_path = urlsplit(base_url).path.rstrip("/")
        client.urls = {**client.urls, "api": _rebased(client.urls["api"], base_url, client.hostname)}
    return client


def release(client: Any) -> None:
    """Let go of the shared session, so that ccxt neither closes it nor warns; its own close() sleeps 250 ms."""
    client.closed_by_user = True
    client.session = None
    client.ssl_context = None


def _rebased(url: Any, base_url: str, hostname: str | None) -> Any:
    """`urls['api']` (a URL, or a tree of them) with scheme and host of `base_url`; the paths stay."""
    if isinstance(url, dict):
        return {name: _rebased(part, base_url, hostname) for name, part in url.items()}
    if not isinstance(url, str):
        return url
    base = urlsplit(base_url)
    path = urlsplit(url.replace("{hostname}", hostname or "")).path
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + path, "", ""))


def _beside(urls: Mapping[str, str], path: str) -> str:
    """A URL with that path where the venue's others are."""
    return urlunsplit((*urlsplit(next(iter(urls.values())))[:2], path, "", ""))


@cache
def _strict_class(venue_id: str, listed: frozenset[str], further: tuple[Further, ...]) -> Any:
    own = type(venue_id, (_Strict, getattr(ccxt, venue_id)), endpoints_of(further))
    return listed_calls_alone(own, listed)


def _is_precision(precision: Any) -> bool:
    try:
        return abs(plain_number(precision)) <= MAX_DECIMALS
    except ValueError:
        return False


_VenuesOwn: Any = object


class _Strict(_VenuesOwn):  # type: ignore[misc]  # what `super()` is, the venue's ccxt class, is chosen at run time
    """Both ends of every request that ccxt makes, unified or implicit; goes in front of a ccxt class."""

    rules: Rules
    shared: Shared
    public: Any
    base_path: str
    # What ccxt makes its figures with; `float` would take junk for numbers.
    number = staticmethod(plain_number)

    def milliseconds(self) -> int:
        """The venue's time by our Clock: what ccxt signs with."""
        return round(self.shared.clock.now().timestamp() * 1000) - self.shared.offset.milliseconds

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return self.milliseconds() * 1000

    async def resync(self) -> None:
        """Learn the offset of our clock anew, for every client of the venue."""
        server_ms = await self.fetch_time()
        if not isinstance(server_ms, int):
            raise ReadError(FailureKind.MALFORMED, "the venue does not tell its time")
        self.shared.offset.milliseconds += self.milliseconds() - server_ms

    async def request(
        self, path: Any, api: Any = "public", method: Any = "GET", params: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        # Before signing: a request that waited for its turn must not carry an old timestamp.
        name = self._full_path(path, api)
        await self.shared.budget.spend(self._weight(name, params or {}), self.shared.patience_s, name)
        try:
            return await super().request(path, api, method, params or {}, *args, **kwargs)
        except ccxt.BaseError as error:
            raise failed_request(error) from None
        except ValueError:
            raise ReadError(FailureKind.AUTH, "a request cannot be signed with these credentials") from None

    def _full_path(self, path: Any, api: Any) -> str:
        """As the rules name it: what stands in braces is not filled in."""
        url, parts = self.urls["api"], [api] if isinstance(api, str) else api
        for part in parts:
            url = url.get(part) if isinstance(url, dict) else url
        if not isinstance(url, str):
            # ccxt has one URL for all, and makes the path when it signs.
            return "/" + "/".join((*map(str, parts), str(path)))
        return urlsplit(url).path.removeprefix(self.base_path) + f"/{path}"

    def _weight(self, name: str, params: Mapping[str, Any]) -> int:
        return self.rules.weights.get(f"{name} {params.get('type')}", self.rules.weights.get(name, 1))

    async def fetch(self, url: Any, method: Any = "GET", headers: Any = None, body: Any = None) -> Any:
        path = urlsplit(url).path.removeprefix(self.base_path)
        if not self.rules.permits(method, path):
            raise ReadError(FailureKind.UNSUPPORTED, f"refused to send {method} {path}: perpwatch only reads")
        try:
            reply = await super().fetch(url, method, headers, body)
        except ReadError:
            raise
        except (ccxt.BaseError, aiohttp.ClientError, OSError, ValueError) as error:
            # Without the cause: its text, and with it every traceback, would carry the signed URL.
            raise failed_request(error) from None
        if self.rules.bare_words and isinstance(reply, str) and _WORD.fullmatch(reply):
            return reply[1:-1]
        if not isinstance(reply, dict | list):
            raise ReadError(FailureKind.MALFORMED, f"{path}: the reply is not JSON")
        recording = _replies.get()
        if recording is not None:
            recording.append(reply)
        return reply

    def parse_precision(self, precision: Any) -> Any:
        """ccxt writes the decimals out one by one; more than any venue has are unknown."""
        return super().parse_precision(precision) if _is_precision(precision) else None

    def integer_precision_to_amount(self, precision: Any) -> Any:
        return super().integer_precision_to_amount(precision) if _is_precision(precision) else None

    def client(self, url: Any) -> Any:
        """ccxt's only way to a websocket, which carries orders as well as prices."""
        raise ReadError(
            FailureKind.UNSUPPORTED, f"refused to open {urlsplit(url).netloc}: perpwatch only reads by HTTP"
        )

    def handle_errors(
        self, code: Any, reason: Any, url: Any, method: Any, headers: Any, body: Any, response: Any, *sent: Any
    ) -> Any:
        """Called by ccxt with every HTTP reply, before it judges the status."""
        # ccxt hands headers on in the case they were sent in.
        headers = {name.lower(): value for name, value in headers.items()}
        path = urlsplit(url).path.removeprefix(self.base_path)
        used = self.rules.used_weight(headers, path)
        if used is not None:
            self.shared.budget.note_used(used)
        try:
            super().handle_errors(code, reason, url, method, headers, body, response, *sent)
            refusal = None
        except ccxt.BaseError as error:
            refusal = error
        if refusal is None and 200 <= code < 300:
            refuse_endless_numbers(response, body, path)
            return None
        reply = self._described(code, headers, response, str(body))
        failed = failed_reply(reply, refusal, self.rules.kinds_by_code, self.rules.ban_s)
        if failed.kind in (FailureKind.RATE_LIMIT, FailureKind.BANNED):
            own = self.rules.own_limit(reply) if self._is_signed(*sent) else None
            is_apart = failed.kind is FailureKind.RATE_LIMIT and path in self.rules.apart
            if own is None and not is_apart:
                self.shared.budget.stop_until(failed)
            failed.retry_at = own or failed.retry_at
        raise failed

    def _is_signed(self, headers: Any = None, *_: Any) -> bool:
        """By the headers that were sent: venues that limit accounts by themselves have the key there."""
        return bool(self.apiKey) and self.apiKey in (headers or {}).values()

    def _described(self, status: int, headers: Mapping[str, str], response: Any, body: str) -> Reply:
        code, message = self.rules.said(response if isinstance(response, dict) else {})
        if status >= 400:
            code = next((words for words in self.rules.words if words in body.lower()), code)
        return Reply(
            status=status,
            headers=headers,
            # Lists are no words, and may be nested deeper than can be written out.
            code=str(code) if isinstance(code, str | int | float) else None,
            message=str(message) if isinstance(message, str | int | float) else None,
            received_at=self.shared.clock.now(),
        )

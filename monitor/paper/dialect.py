"""What differs from venue to venue in how the paper exchange is spoken to: paths, signatures, words, headers.

A dialect only tells: the engine decides. Each venue's module makes one `Dialect`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply, page_of
from monitor.paper.tape import LENGTH_MS, Bar

Json = dict[str, Any]


class ApiError(Exception):
    """A refusal in the venue's own words: HTTP status, code and message."""

    def __init__(self, status: int, code: int | str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came: headers with small letters, the query undecoded, the body as text."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, already authorised: `account` is set on signed endpoints, `params` are of path and query.

    `profile` is what the venue tells of the account beside its books: whatever the dialect declares as `profile`.
    """

    engine: Engine
    now_ms: int
    params: Mapping[str, str]
    account: Account | None = None
    profile: Any = None
    body: str = ""

    @property
    def owner(self) -> Account:
        assert self.account is not None, "the endpoint is not signed"
        return self.account

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """Those with a mark."""
        return tuple(c for c in self.engine.contracts if self.engine.mark(c.symbol) is not None)

    def bars_since(self, contract: Contract, frame: Frame, start_ms: float) -> list[Bar]:
        """Its candles that begin no earlier, ascending to the one of now."""
        count = int((self.now_ms - start_ms) // LENGTH_MS[frame]) + 1
        return [bar for bar in self.engine.bars(contract.symbol, frame, count, self.now_ms) if bar.at_ms >= start_ms]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a path is answered, what it costs with and without a symbol, and whether it must be signed."""

    render: Callable[[Call], Any]
    weight: int = 1
    weight_of_all: int | None = None
    signed: bool = False


def _path_of(asked: Asked) -> str:
    return asked.path


def _no_headers(_path: str, _used: int) -> Mapping[str, str]:
    return {}


def _all_one(_path: str) -> str:
    return ""


def header(name: str) -> Callable[[Asked], str]:
    """What stands in that header (small letters); empty text where it was not sent."""
    return lambda asked: asked.headers.get(name, "")


def in_words(refusals: Mapping[FaultKind, ApiError]) -> Callable[[Fault, int], ApiError | None]:
    """The `refuse` of a venue whose words are the same at every time."""
    return lambda fault, _now_ms: refusals.get(fault.kind)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """`endpoints` by method and path ("GET /v5/position/list"); `{name}` in a path matches anything but a slash.

    `name_of` is what a request is called in the log, in `counts` and in a fault's `path`: its path, but where one path
    answers several questions. `authorise` raises ApiError. `refuse` gives the venue's words for a fault that it answers
    by an error of its own (RATE_LIMITED, BANNED, OVERLOADED, REGION, BAD_KEY); None for all others. `without_positions`
    is a good reply of that name, robbed of its positions. `headers` are sent with every reply, told the weight used in
    this minute; `family` says which paths are counted together. `volatile` parameters change with every signing.
    """

    endpoints: Mapping[str, Endpoint]
    key_of: Callable[[Asked], str]
    authorise: Callable[[Engine, Asked, int], Account]
    error: Callable[[ApiError], Reply]
    refuse: Callable[[Fault, int], ApiError | None]
    without_positions: Callable[[str, Any], Any]
    profile: Any = None
    name_of: Callable[[Asked], str] = _path_of
    headers: Callable[[str, int], Mapping[str, str]] = _no_headers
    family: Callable[[str], str] = _all_one
    volatile: frozenset[str] = frozenset()

    def find(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]] | None:
        """The endpoint, and what stands in the braces of its path."""
        exact = self.endpoints.get(f"{method} {path}")
        if exact is not None:
            return exact, {}
        for pattern, endpoint in self._patterns:
            if found := pattern.fullmatch(f"{method} {path}"):
                return endpoint, found.groupdict()
        return None

    def refusal(self, fault: Fault, now_ms: int) -> Reply | None:
        """The answer of a fault in the venue's stead; None where the venue still answers itself."""
        refused = self.refuse(fault, now_ms)
        if refused is None:
            return page_of(fault)
        reply = self.error(refused)
        if fault.retry_after_s is None:
            return reply
        return replace(reply, headers=(*reply.headers, ("Retry-After", str(fault.retry_after_s))))

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Endpoint]]:
        return [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", name)), endpoint)
            for name, endpoint in self.endpoints.items()
            if "{" in name
        ]

"""What may leave the house: reads only, judged twice.

First the call: of ccxt's methods only those on the venue's list can be called, and what they call themselves. Then the
request, whatever code asked for it: a venue that declares its endpoints is held to that list. For the others a request
must look like a read: a GET none of whose words is an action (some venues place orders by GET), or one of few reads
that a venue takes by POST.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from ccxt.base.types import Entry

from monitor.domain.account import FailureKind
from monitor.exchange.failures import ReadError

# Whether this task is inside a listed call.
_listed_call: ContextVar[bool] = ContextVar("listed_call", default=False)

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")

_ACTION = re.compile(
    r"accept|activate|add|adjust|allocate|amend|apply|approve|assign|auto|batch|bind|borrow|buy|cancel"
    r"|cancelall|change|claim|close|confirm|convert|copy|create|deactivate|decrease|delete|deposit|disable|edit"
    r"|enable|execute|exercise|extend|flash|freeze|increase|insert|invest|kill|lend|liquidate|loan|lock|logout"
    r"|mint|modify|move|open|pay|place|post|purchase|put|quick|rebalance|redeem|redemption|register|remove"
    r"|rename|repay|replace|reset|revoke|save|sell|send|set|settle|stake|sub|submit|subscribe|swap|toggle|trade"
    r"|transfer|unbind|unfreeze|unlock|unstake|update|upgrade|withdraw|write"
)
# Nouns that contain an action's word and name what the reads are about.
_NOUNS = re.compile(
    r"open[-_]?(?:positions|orders|interest|api(?=/))|linear-swap|(?:^|/)swap(?=[-_/])|sub[-_]?accounts?"
    r"|copy_?trading(?=/account)"
    r"|trade[-_]?fee|trade/(?:positions?|account/info|fund-rate)(?=/|$)",
    re.IGNORECASE,
)

# Reads that venues take by POST, by the end of their path.
_POST_READS: Mapping[str, tuple[str, ...]] = {
    "hyperliquid": ("/info",),
    "paradex": ("/auth",),
    "htx": (
        "/linear-swap-api/v1/swap_position_info",
        "/linear-swap-api/v1/swap_cross_position_info",
        "/linear-swap-api/v1/swap_account_info",
        "/linear-swap-api/v1/swap_cross_account_info",
        "/linear-swap-api/v3/unified_account_info",
        "/swap-api/v1/swap_position_info",
        "/swap-api/v1/swap_account_info",
    ),
    "cryptocom": ("/private/get-positions", "/private/user-balance"),
    "bitfinex": ("/auth/r/positions", "/auth/r/wallets"),
    "derive": (
        "/private/get_positions",
        "/private/get_subaccount",
        "/private/get_all_portfolios",
        "/public/get_all_instruments",
        "/public/get_time",
    ),
    "whitebit": ("/collateral-account/positions/open", "/collateral-account/balance"),
    "grvt": ("/full/v1/positions", "/full/v1/account_summary", "/full/v1/all_instruments"),
}


class Further(NamedTuple):
    """An endpoint, asked by GET, that a venue has and ccxt does not know. `call` is the name it gets there.

    `api` is ccxt's name for a part of the venue's paths, `at` where that part begins, for one that ccxt has no URL of;
    `path` is what ccxt signs, as it signs its own.
    """

    call: str
    api: str
    at: str
    path: str


def endpoints_of(further: Iterable[Further]) -> dict[str, Entry[Any]]:
    """By the names of the calls, as ccxt's own stand in its classes."""
    return {it.call: Entry(it.path, [it.api], "GET", {"cost": 1}) for it in further}


def listed_calls_alone(client_class: type, listed: frozenset[str]) -> type:
    """A subclass of a ccxt class whose other calls raise ReadError (unsupported) before they do anything.

    Calls are all coroutine methods and implicit endpoints; what a listed call calls in turn is let through. Among them
    are `request` and `fetch`, by which ccxt sends: nothing else gets there, by whatever way it tries. ccxt spells every
    method in two ways, and sets the second while a client is made: the list holds for both.
    """
    spelt = {_letters(name) for name in listed}
    gates = {
        name: _gate(name, getattr(client_class, name), _letters(name) in spelt) for name in _calls_of(client_class)
    }
    return type(client_class.__name__, (client_class,), gates)


def inside_a_listed_call() -> bool:
    """Whether this task was asked for something by a call on the list."""
    return _listed_call.get()


def _calls_of(client_class: type) -> set[str]:
    """Names of everything that a ccxt class sends by."""
    endpoints = {name for cls in client_class.__mro__ for name, it in vars(cls).items() if isinstance(it, Entry)}
    methods = {name for name in dir(client_class) if inspect.iscoroutinefunction(getattr(client_class, name))}
    return {name for name in endpoints | methods if not name.startswith("__")}


def _letters(name: str) -> str:
    """The same for fetch_positions and fetchPositions."""
    return name.replace("_", "").lower()


def _gate(name: str, method: Callable[..., Any], is_listed: bool) -> Callable[..., Any]:
    async def call(client: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _listed_call.get():
            return await method(client, *args, **kwargs)
        if not is_listed:
            raise ReadError(FailureKind.UNSUPPORTED, f"refused to call {name}: perpwatch only reads")
        token = _listed_call.set(True)
        try:
            return await method(client, *args, **kwargs)
        finally:
            _listed_call.reset(token)

    return call


def gets_of(paths: Iterable[str]) -> Callable[[str, str], bool]:
    """Permits GETs of these paths alone; `{name}` in one stands for one segment."""
    pattern = re.compile("|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in paths))
    return lambda method, path: method == "GET" and pattern.fullmatch(path) is not None


def looks_like_a_read(venue_id: str, method: str, path: str) -> bool:
    """Whether a request to a venue without declared endpoints may leave; `path` is the URL's, without the query."""
    if method == "POST":
        return path.endswith(_POST_READS.get(venue_id, ()))
    if method != "GET":
        return False
    return not any(_ACTION.fullmatch(word.lower()) for word in _WORD.findall(_NOUNS.sub("", path)))

"""How a read fails: one exception inside exchange/, mapped from ccxt's, handed out as a `PollFailure` value.

ccxt's exception texts carry whole signed URLs, so a detail is never made of them: it says the HTTP status, the venue's
own code and message, or the cause of a broken connection; redacted and clipped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import ccxt.async_support as ccxt

from monitor.domain.account import FailureKind, PollFailure
from monitor.log import redact

MAX_DETAIL_CHARS = 300
# Where the venue does not say how long: a request window is a minute everywhere, a ban at least two.
DEFAULT_RATE_LIMIT_S = 60.0
DEFAULT_BAN_S = 120.0
MAX_RETRY_AFTER_S = 3 * 86_400.0
MAX_DIGITS = 15
EARLIEST_EPOCH_S, LATEST_EPOCH_S = 1e9, 1e11

# What ccxt's parsers raise over replies they were not made for.
BROKEN_PARSING = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)

_BANNED_UNTIL_MS = re.compile(r"(?:until|after|after time:) (\d{13})")
_URL_QUERY = re.compile(r"\?[^\s'\"]*")


class ReadError(Exception):
    """A read gave nothing to judge by; carries what becomes the `PollFailure`."""

    def __init__(self, kind: FailureKind, detail: str, retry_at: datetime | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_at = retry_at


def a_bug(error: Exception) -> ReadError:
    """A reply that nobody thought of, met where the account itself can be read and must not go blind by it."""
    return ReadError(FailureKind.MALFORMED, f"a bug in perpwatch: {type(error).__name__}")


class OldListError(ReadError):
    """What was read and the venue's list of contracts, as we last read it, contradict each other."""


class UnknownSymbolError(OldListError):
    """A position in an instrument that is not listed."""

    def __init__(self, raw_symbol: str) -> None:
        super().__init__(FailureKind.MALFORMED, f"position in an instrument the venue does not list: {raw_symbol}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What of an HTTP reply tells how it failed. `code` and `message` are the venue's own, where it sent JSON.

    `headers` by lower-case name.
    """

    status: int
    headers: Mapping[str, str]
    code: str | None
    message: str | None
    received_at: datetime

    @property
    def detail(self) -> str:
        said = " ".join(part for part in (self.code, self.message) if part)
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"

    def retry_at(self, default_s: float) -> datetime:
        """When the venue allows the next request: Retry-After, a ban's end named in the message, else the default."""
        retry_after = self.headers.get("retry-after", "")
        if retry_after.isdecimal():
            return self.received_at + timedelta(seconds=min(float(retry_after), MAX_RETRY_AFTER_S))
        until = _BANNED_UNTIL_MS.search(self.message or "")
        if until:
            latest = self.received_at + timedelta(seconds=MAX_RETRY_AFTER_S)
            return min(datetime.fromtimestamp(int(until[1]) / 1000, UTC), latest)
        return self.received_at + timedelta(seconds=default_s)

    def reset_at(self, header: str) -> datetime:
        """When a window of the venue's ends by a header of its own; as `retry_at` where it tells nothing.

        Milliseconds from now, or seconds or milliseconds of the epoch. At least a second, since some venues write the
        time of now there and clocks differ; at most the default.
        """
        told = self.headers.get(header, "")
        if not told.isdecimal() or len(told) > MAX_DIGITS:
            return self.retry_at(DEFAULT_RATE_LIMIT_S)
        count, now_s = float(told), self.received_at.timestamp()
        if count < EARLIEST_EPOCH_S:
            wait_s = count / 1000
        else:
            wait_s = (count if count < LATEST_EPOCH_S else count / 1000) - now_s
        return self.received_at + timedelta(seconds=min(max(wait_s, 1.0), DEFAULT_RATE_LIMIT_S))


def failed_reply(
    reply: Reply, error: Exception | None, kinds_by_code: Mapping[str, FailureKind], ban_s: float = DEFAULT_BAN_S
) -> ReadError:
    """The failure a refused request means: by HTTP status, then the venue's code, then ccxt's class.

    `ban_s` is how long a ban lasts of which the venue names no end.
    """
    if reply.status == 418:
        return ReadError(FailureKind.BANNED, reply.detail, reply.retry_at(ban_s))
    if reply.status == 429:
        return ReadError(FailureKind.RATE_LIMIT, reply.detail, reply.retry_at(DEFAULT_RATE_LIMIT_S))
    kind = kinds_by_code.get(reply.code or "") or _kind_of_status(reply.status, error)
    pause_s = {FailureKind.RATE_LIMIT: DEFAULT_RATE_LIMIT_S, FailureKind.BANNED: ban_s}.get(kind)
    return ReadError(kind, reply.detail, None if pause_s is None else reply.retry_at(pause_s))


def _kind_of_status(status: int, error: Exception | None) -> FailureKind:
    """The status decides only where ccxt knows no better: it maps 403, 451 and every 5xx to ExchangeNotAvailable."""
    kind = _kind_of_class(error)
    if kind not in (None, FailureKind.NETWORK):
        return kind
    if status in (403, 451):
        return FailureKind.REGION
    if status in (401, 407, 511):
        return FailureKind.AUTH
    return FailureKind.OVERLOADED if status >= 500 else FailureKind.MALFORMED


# In the order they are asked: ccxt's classes inherit from each other (PermissionDenied is an AuthenticationError).
_KINDS_BY_CLASS: tuple[tuple[type[Exception], FailureKind], ...] = (
    (ccxt.InvalidNonce, FailureKind.CLOCK),
    (ccxt.RestrictedLocation, FailureKind.REGION),
    (ccxt.PermissionDenied, FailureKind.PERMISSION),
    (ccxt.AuthenticationError, FailureKind.AUTH),
    (ccxt.OnMaintenance, FailureKind.MAINTENANCE),
    (ccxt.DDoSProtection, FailureKind.RATE_LIMIT),
    (ccxt.RequestTimeout, FailureKind.TIMEOUT),
    (ccxt.NetworkError, FailureKind.NETWORK),
    (ccxt.NotSupported, FailureKind.UNSUPPORTED),
    (ccxt.ArgumentsRequired, FailureKind.UNSUPPORTED),
)


def _kind_of_class(error: Exception | None) -> FailureKind | None:
    return next((kind for cls, kind in _KINDS_BY_CLASS if isinstance(error, cls)), None)


def failed_request(error: Exception) -> ReadError:
    """The failure of a request that got no usable HTTP reply, or of ccxt's own handling of one."""
    if isinstance(error, TimeoutError | ccxt.RequestTimeout):
        return ReadError(FailureKind.TIMEOUT, "no answer in time")
    cause = error if isinstance(error, aiohttp.ClientError | OSError) else error.__cause__
    if isinstance(cause, aiohttp.ClientError | OSError):
        return ReadError(FailureKind.NETWORK, f"{type(cause).__name__}: {cause}")
    kind = _kind_of_class(error) or FailureKind.MALFORMED
    return ReadError(kind, f"{type(error).__name__}: {error}")


def failure_from(error: Exception, account: str, venue: str, now: datetime) -> PollFailure:
    """The value a failed read is told as. `detail` holds no secret, no query string, at most MAX_DETAIL_CHARS."""
    failed = error if isinstance(error, ReadError) else failed_request(error)
    return PollFailure(
        account=account,
        venue=venue,
        observed_at=now,
        kind=failed.kind,
        detail=clean(failed.detail),
        retry_at=failed.retry_at,
    )


def clean(text: str) -> str:
    """One line of text that can be stored and shown, without secrets and query strings, clipped.

    JSON may hold halves of characters, which no database takes, and marks that turn the direction of a line.
    """
    line = " ".join(redact(_URL_QUERY.sub("?…", text)).split())
    line = "".join(char for char in line.encode(errors="replace").decode() if char.isprintable())
    return line if len(line) <= MAX_DETAIL_CHARS else line[: MAX_DETAIL_CHARS - 1] + "…"

"""What a refused or broken request means, and that its detail gives nothing away."""

from datetime import UTC, datetime, timedelta

import aiohttp
import ccxt.async_support as ccxt
import pytest

from monitor.domain.account import FailureKind
from monitor.exchange.failures import (
    MAX_DETAIL_CHARS,
    ReadError,
    Reply,
    clean,
    failed_reply,
    failed_request,
    failure_from,
)
from monitor.exchange.venues.binance import KINDS_BY_CODE
from monitor.log import register_secret
from tests.builders import NOON


def a_reply(status: int, code: str | None = None, message: str | None = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, code=code, message=message, received_at=NOON)


@pytest.mark.parametrize(
    ("status", "code", "error", "kind"),
    [
        (400, "-1021", ccxt.InvalidNonce(), FailureKind.CLOCK),
        (400, "-1022", ccxt.AuthenticationError(), FailureKind.AUTH),
        (401, "-2014", ccxt.AuthenticationError(), FailureKind.AUTH),
        (401, "-2015", ccxt.DDoSProtection(), FailureKind.AUTH),
        (400, "-2015", ccxt.ExchangeError(), FailureKind.AUTH),
        (503, "-1008", ccxt.ExchangeError(), FailureKind.OVERLOADED),
        (400, "-1003", ccxt.ExchangeError(), FailureKind.RATE_LIMIT),
        (400, "-1016", ccxt.ExchangeError(), FailureKind.MAINTENANCE),
        (401, None, ccxt.AuthenticationError(), FailureKind.AUTH),
        (403, None, ccxt.ExchangeNotAvailable(), FailureKind.REGION),
        (403, None, ccxt.PermissionDenied(), FailureKind.PERMISSION),
        (451, None, ccxt.ExchangeNotAvailable(), FailureKind.REGION),
        (200, "10024", ccxt.RestrictedLocation(), FailureKind.REGION),
        (200, "10003", ccxt.AuthenticationError(), FailureKind.AUTH),
        (200, "10005", ccxt.PermissionDenied(), FailureKind.PERMISSION),
        (418, "-1003", ccxt.DDoSProtection(), FailureKind.BANNED),
        (418, None, None, FailureKind.BANNED),
        (429, None, ccxt.DDoSProtection(), FailureKind.RATE_LIMIT),
        (429, "-2015", ccxt.DDoSProtection(), FailureKind.RATE_LIMIT),
        (500, None, ccxt.ExchangeNotAvailable(), FailureKind.OVERLOADED),
        (503, None, ccxt.OnMaintenance(), FailureKind.MAINTENANCE),
        (504, None, ccxt.RequestTimeout(), FailureKind.TIMEOUT),
        (404, None, ccxt.ExchangeNotAvailable(), FailureKind.MALFORMED),
        (302, None, None, FailureKind.MALFORMED),
        (400, "-9999", ccxt.ExchangeError(), FailureKind.MALFORMED),
    ],
)
def test_a_refusal_is_of_its_kind(status: int, code: str | None, error: Exception | None, kind: FailureKind) -> None:
    assert failed_reply(a_reply(status, code), error, KINDS_BY_CODE).kind is kind


BAN_END = datetime(2025, 10, 10, 12, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reply", "retry_at"),
    [
        (a_reply(429, retry_after="17"), NOON + timedelta(seconds=17)),
        (a_reply(429), NOON + timedelta(seconds=60)),
        (a_reply(429, retry_after="Wed, 21 Oct 2025 07:28:00 GMT"), NOON + timedelta(seconds=60)),
        (a_reply(418, retry_after="600"), NOON + timedelta(seconds=600)),
        (a_reply(418), NOON + timedelta(seconds=120)),
        (a_reply(418, "-1003", f"IP banned until {int(BAN_END.timestamp() * 1000)}."), BAN_END),
        (a_reply(418, "-1003", "IP banned until 9999999999999."), NOON + timedelta(days=3)),
        (a_reply(429, "100410", f"it will be unblocked after {int(BAN_END.timestamp() * 1000)}"), BAN_END),
        (a_reply(429, "100410", f"can retry after time: {int(BAN_END.timestamp() * 1000)}"), BAN_END),
        (a_reply(418, retry_after="9" * 30), NOON + timedelta(days=3)),
        (a_reply(503, retry_after="5"), None),
        (a_reply(200, "10009", "IP has been banned."), NOON + timedelta(seconds=120)),
    ],
)
def test_the_venue_says_when_to_come_back(reply: Reply, retry_at: datetime | None) -> None:
    kinds = {**KINDS_BY_CODE, "10009": FailureKind.BANNED}
    assert failed_reply(reply, None, kinds).retry_at == retry_at


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (caused(ccxt.ExchangeNotAvailable("u"), OSError("refused")), FailureKind.NETWORK),
        (caused(ccxt.ExchangeError("u"), aiohttp.ClientPayloadError("cut short")), FailureKind.NETWORK),
        (caused(ccxt.RequestTimeout("u"), TimeoutError()), FailureKind.TIMEOUT),
        (TimeoutError(), FailureKind.TIMEOUT),
        (OSError("unreachable"), FailureKind.NETWORK),
        (ccxt.AuthenticationError('requires "apiKey" credential'), FailureKind.AUTH),
        (ccxt.NotSupported("no such call"), FailureKind.UNSUPPORTED),
        (ccxt.BadResponse("what"), FailureKind.MALFORMED),
        (ValueError("what"), FailureKind.MALFORMED),
    ],
)
def test_a_request_without_a_reply_fails_by_its_cause(error: Exception, kind: FailureKind) -> None:
    assert failed_request(error).kind is kind


def test_a_failure_tells_neither_secrets_nor_signed_queries() -> None:
    register_secret("canary-7f3a91")
    error = ccxt.ExchangeError("binanceusdm GET https://fapi/x?timestamp=1&signature=abcdef canary-7f3a91")
    failure = failure_from(error, "main", "binanceusdm", NOON)
    assert "signature" not in failure.detail
    assert "canary-7f3a91" not in failure.detail
    assert "https://fapi/x" in failure.detail


def test_a_detail_holds_nothing_that_turns_the_direction_of_its_line_or_takes_no_room() -> None:
    assert clean("sell \u202eevil\u202c @\u200beveryone\x07 \ud800") == "sell evil @everyone ?"


def test_a_detail_is_one_clipped_line() -> None:
    detail = clean("a\nb\t" + "x" * 10_000)
    assert len(detail) == MAX_DETAIL_CHARS
    assert detail.startswith("a b x")
    assert detail.endswith("…")


def test_a_failure_keeps_kind_account_and_time() -> None:
    failure = failure_from(ReadError(FailureKind.BANNED, "later", NOON), "main", "okx", NOON)
    assert (failure.kind, failure.account, failure.venue, failure.observed_at, failure.retry_at) == (
        FailureKind.BANNED,
        "main",
        "okx",
        NOON,
        NOON,
    )


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7000", 7.0),
        (str(round(NOON.timestamp()) + 4), 4.0),
        (str(round(NOON.timestamp() * 1000) + 4500), 4.5),
        (str(round(NOON.timestamp() * 1000)), 1.0),
        ("0", 1.0),
        (str(round(NOON.timestamp()) + 9999), 60.0),
        ("9" * 400, 60.0),
        ("soon", 60.0),
        ("-5", 60.0),
        (None, 60.0),
    ],
)
def test_the_end_of_a_venues_window_is_believed_within_reason(told: str | None, seconds: float) -> None:
    reply = a_reply(429, None) if told is None else a_reply(429, None, window_ends=told)
    assert reply.reset_at("window-ends") - NOON == timedelta(seconds=seconds)

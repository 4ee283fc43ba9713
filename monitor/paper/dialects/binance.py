"""Binance's USDS-M, COIN-M and portfolio margin REST, with the questions of its spot API that accounts are asked."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from monitor.paper import dapi, fapi, papi
from monitor.paper.binance import INVALID_KEY, Profile
from monitor.paper.book import Account
from monitor.paper.dialect import ApiError, Asked, Dialect, header
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply

# How far ahead of the server a timestamp may be, and how old where the client names no window.
AHEAD_MS, WINDOW_MS, LONGEST_WINDOW_MS = 1000, 5000, 60000
OVERLOADED = (
    "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
)
RESTRICTED = "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use."


_key_of = header("x-mbx-apikey")


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    """The account a signed request is for; ApiError in Binance's words otherwise."""
    api_key = _key_of(asked)
    if not api_key:
        raise ApiError(401, -2014, "API-key format invalid.")
    account = engine.account_of_key(api_key)
    if account is None:
        raise ApiError(401, -2015, INVALID_KEY)
    for name in ("timestamp", "signature"):
        if not asked.params.get(name):
            raise ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    try:
        timestamp, window = int(asked.params["timestamp"]), int(asked.params.get("recvWindow", WINDOW_MS))
    except ValueError:
        raise ApiError(400, -1100, "Illegal characters found in a parameter.") from None
    if window > LONGEST_WINDOW_MS:
        raise ApiError(400, -1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + AHEAD_MS:
        raise ApiError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    signed_part = asked.query.rpartition("&signature=")[0]
    expected = hmac.new(account.secret.encode(), signed_part.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, asked.params["signature"]):
        raise ApiError(400, -1022, "Signature for this request is not valid.")
    return account


def error(refusal: ApiError) -> Reply:
    return Reply(refusal.status, json.dumps({"code": refusal.code, "msg": refusal.message}))


def refuse(fault: Fault, now_ms: int) -> ApiError | None:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return ApiError(429, -1003, "Too many requests; current limit of IP is 2400 requests per minute.")
        case FaultKind.BANNED:
            until = now_ms + 1000 * (fault.retry_after_s or 120)
            return ApiError(418, -1003, f"Way too many requests; IP banned until {until}.")
        case FaultKind.OVERLOADED:
            return ApiError(503, -1008, OVERLOADED)
        case FaultKind.REGION:
            return ApiError(451, 0, RESTRICTED)
        case FaultKind.BAD_KEY:
            return ApiError(401, -2015, INVALID_KEY)
        case _:
            return None


def without_positions(_name: str, payload: Any) -> Any:
    return {**payload, "positions": []} if isinstance(payload, dict) else []


def _family(path: str) -> str:
    """Each of Binance's APIs counts weight on its own: fapi, dapi, papi, sapi, api."""
    return path.split("/")[1] if path.startswith("/") else path


def _headers(path: str, used: int) -> Mapping[str, str]:
    name = "X-SAPI-USED-IP-WEIGHT-1M" if _family(path) == "sapi" else "X-MBX-USED-WEIGHT-1M"
    return {name: str(used)}


BINANCE = Dialect(
    endpoints={**fapi.ENDPOINTS, **dapi.ENDPOINTS, **papi.ENDPOINTS, **dapi.SPOT_ENDPOINTS},
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=refuse,
    without_positions=without_positions,
    profile=Profile(),
    headers=_headers,
    family=_family,
    volatile=frozenset({"timestamp", "signature", "recvWindow"}),
)

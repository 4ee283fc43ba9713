"""What became of one send, in the terms delivery decides by, read from a service's answer. No I/O, no Apprise."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

MAX_RETRY_AFTER_S = 3_600.0
# "At once" is no answer to too many requests.
MIN_RETRY_AFTER_S = 0.5
DEFAULT_RETRY_AFTER_S = 5.0
# Telegram says 400 for a chat that does not exist: as final as a 404, and no matter of the text.
_GONE = re.compile(
    r"chat not found|user not found|chat_id is empty|peer_id_invalid|chat_write_forbidden", re.IGNORECASE
)
# A gateway that got no answer does not know either whether the service took the message; the last two are Cloudflare's.
_GATEWAY = (502, 504, 520, 524)


class SendKind(StrEnum):
    """ACCEPTED alone means that the message was delivered; after AMBIGUOUS it may have been."""

    ACCEPTED = "accepted"
    RATE_LIMITED = "rate limited"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    MOVED = "moved"
    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """`detail` is redacted and fit to show; `retry_after_s` with RATE_LIMITED; `moved_to` is a group's new chat id."""

    kind: SendKind
    detail: str = ""
    retry_after_s: float | None = None
    moved_to: int | None = None

    @property
    def is_accepted(self) -> bool:
        return self.kind is SendKind.ACCEPTED


def of_answer(status: int, headers: dict[str, str], body: bytes, now: datetime) -> SendResult:
    """Judge an HTTP answer; header names in lower case."""
    answer = _object(body)
    said = str(answer.get("description") or answer.get("message") or "")
    said = said.encode(errors="replace").decode()  # JSON may hold halves of characters, which no database takes
    detail = f"HTTP {status}{': ' + said if said else ''}"[:300]
    if 200 <= status < 300:
        return SendResult(kind=SendKind.ACCEPTED, detail=detail)
    if 300 <= status < 400:
        return SendResult(kind=SendKind.TRANSIENT, detail=f"{detail}, which leads elsewhere; is the URL the right one?")
    if status == 429:
        return SendResult(kind=SendKind.RATE_LIMITED, detail=detail, retry_after_s=_retry_after_s(headers, answer, now))
    moved_to = _parameters(answer).get("migrate_to_chat_id")
    if isinstance(moved_to, int):
        return SendResult(kind=SendKind.MOVED, detail=detail, moved_to=moved_to)
    if status in (401, 403, 404, 410) or (status == 400 and _GONE.search(said)):
        return SendResult(kind=SendKind.UNAUTHORIZED, detail=detail)
    if status in (400, 413, 422):
        return SendResult(kind=SendKind.REJECTED, detail=detail)
    return SendResult(kind=SendKind.AMBIGUOUS if status in _GATEWAY else SendKind.TRANSIENT, detail=detail)


def of_telegrams_answer(status: int, headers: dict[str, str], body: bytes, now: datetime) -> SendResult:
    """The same of Telegram, which says `ok` to what it took: any other success is somebody else's."""
    result = of_answer(status, headers, body, now)
    if result.is_accepted and _object(body).get("ok") is not True:
        return SendResult(kind=SendKind.AMBIGUOUS, detail=f"{result.detail}, but not in Telegram's words")
    return result


def _retry_after_s(headers: dict[str, str], answer: dict[str, Any], now: datetime) -> float:
    """The longest of what the service names in body and header; seconds, possibly fractional, or a date."""
    header = headers.get("retry-after", "")
    named = [_parameters(answer).get("retry_after"), answer.get("retry_after"), header]
    waits = [seconds for seconds in map(_seconds, named) if seconds is not None]
    if not waits and header:
        try:
            waits = [(parsedate_to_datetime(header) - now).total_seconds()]
        except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
            waits = []
    return max(MIN_RETRY_AFTER_S, min(max(waits, default=DEFAULT_RETRY_AFTER_S), MAX_RETRY_AFTER_S))


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        return None
    except OverflowError:  # an integer of more than 308 digits
        return MAX_RETRY_AFTER_S
    return seconds if 0 <= seconds < float("inf") else None


def _parameters(answer: dict[str, Any]) -> dict[str, Any]:
    parameters = answer.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}

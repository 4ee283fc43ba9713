"""Misbehaviour on demand: what a venue does on a bad day, per path and API key, for the next N requests."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

FAULTS_KEPT = 100
FROZEN_KEPT = 1000
DECIMAL = re.compile(r"-?\d+\.\d+")


class FaultKind(StrEnum):
    LATENCY = "latency"
    HANG = "hang"
    DROPPED = "dropped"
    CLOCK_SKEW = "clock_skew"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    FORBIDDEN = "forbidden"
    REGION = "region"
    BAD_KEY = "bad_key"
    HTML = "html"
    TRUNCATED = "truncated"
    EMPTY_BODY = "empty_body"
    EMPTY_OBJECT = "empty_object"
    EMPTY_LIST = "empty_list"
    NULL = "null"
    NO_POSITIONS = "no_positions"
    NOT_A_NUMBER = "not_a_number"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour. `path` and `api_key` are globs; `times` None lasts until cleared.

    `seconds`: latency, or how far the server's clock is ahead. `status`: of SERVER_ERROR. `retry_after_s`: sent with
    RATE_LIMITED and BANNED where given. `token`: what NOT_A_NUMBER puts in the place of every decimal figure (or only
    in `fields`): NaN, Infinity or -Infinity, as a string or, not `quoted`, bare in the JSON.
    """

    kind: FaultKind
    path: str = "*"
    api_key: str = "*"
    times: int | None = None
    seconds: float = 0.0
    status: int = 503
    retry_after_s: int | None = None
    token: str = "NaN"  # noqa: S105 - a number that is none, not a password
    quoted: bool = True
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent: status, body, content type, and further headers."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class FaultBook:
    """The faults in force, each with how many requests it still spoils (None: all)."""

    def __init__(self) -> None:
        self._left: dict[int, tuple[Fault, int | None]] = {}
        self._frozen: dict[tuple[int, str], Reply] = {}
        self._next = 0

    def add(self, fault: Fault) -> None:
        if len(self._left) >= FAULTS_KEPT:
            raise ValueError(f"more than {FAULTS_KEPT} faults at once")
        self._left[self._next] = (fault, fault.times)
        self._next += 1

    def clear(self) -> None:
        self._left.clear()
        self._frozen.clear()

    def take(self, path: str, api_key: str) -> dict[int, Fault]:
        """The faults this request meets, by number; each is used up by one."""
        met = {
            number: fault
            for number, (fault, _) in self._left.items()
            if fnmatchcase(path, fault.path) and fnmatchcase(api_key, fault.api_key)
        }
        for number in met:
            fault, left = self._left[number]
            if left is not None:
                self._left[number] = (fault, left - 1)
                if left <= 1:
                    del self._left[number]
        return met

    def frozen(self, number: int, request: str, reply: Reply) -> Reply:
        """The reply first given to that request under that fault."""
        if number not in self._left:
            return self._frozen.pop((number, request), reply)
        if len(self._frozen) >= FROZEN_KEPT:
            return self._frozen.get((number, request), reply)
        return self._frozen.setdefault((number, request), reply)


def page_of(fault: Fault) -> Reply | None:
    """What a gateway before the venue answers with a page in its stead; None where it lets requests through."""
    match fault.kind:
        case FaultKind.FORBIDDEN:
            return page(403)
        case FaultKind.SERVER_ERROR:
            return page(fault.status)
        case _:
            return None


def spoil(fault: Fault, payload: Any, without_positions: Callable[[Any], Any]) -> Reply | None:
    """The venue's own good reply, spoilt; None where this fault leaves it alone."""
    match fault.kind:
        case FaultKind.HTML:
            return page(200)
        case FaultKind.TRUNCATED:
            body = json.dumps(payload)
            return Reply(200, body[: len(body) // 2])
        case FaultKind.EMPTY_BODY:
            return Reply(200, "")
        case FaultKind.EMPTY_OBJECT:
            return Reply(200, "{}")
        case FaultKind.EMPTY_LIST:
            return Reply(200, "[]")
        case FaultKind.NULL:
            return Reply(200, "null")
        case FaultKind.NO_POSITIONS:
            return Reply(200, json.dumps(without_positions(payload)))
        case FaultKind.NOT_A_NUMBER:
            return Reply(200, json.dumps(_without_numbers(payload, fault, "")))
        case _:
            return None


def page(status: int) -> Reply:
    title = f"{status} {HTTPStatus(status).phrase}"
    return Reply(status, f"<html><head><title>{title}</title></head><body>{title}</body></html>", "text/html")


def _without_numbers(value: Any, fault: Fault, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(item, fault, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_numbers(item, fault, name) for item in value]
    figure = isinstance(value, float) or (isinstance(value, str) and DECIMAL.fullmatch(value) is not None)
    if not figure or (fault.fields and name not in fault.fields):
        return value
    return fault.token if fault.quoted else float(fault.token)

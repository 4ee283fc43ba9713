"""What a service's answer means."""

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notify.results import DEFAULT_RETRY_AFTER_S, MAX_RETRY_AFTER_S, MIN_RETRY_AFTER_S, SendKind, of_answer
from tests.outbox import NOON


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"ok": true}', SendKind.ACCEPTED),
        (204, b"", SendKind.ACCEPTED),
        (400, b'{"description": "Bad Request: can\'t parse entities"}', SendKind.REJECTED),
        (400, b'{"description": "Bad Request: chat not found"}', SendKind.UNAUTHORIZED),
        (400, b'{"parameters": {"migrate_to_chat_id": -1001}}', SendKind.MOVED),
        (401, b"", SendKind.UNAUTHORIZED),
        (403, b'{"description": "Forbidden: bot was blocked by the user"}', SendKind.UNAUTHORIZED),
        (404, b"<html>", SendKind.UNAUTHORIZED),
        (413, b"", SendKind.REJECTED),
        (429, b"", SendKind.RATE_LIMITED),
        (500, b"", SendKind.TRANSIENT),
        (502, b"<html>", SendKind.AMBIGUOUS),
        (504, b"", SendKind.AMBIGUOUS),
        (302, b"", SendKind.TRANSIENT),
    ],
)
def test_every_status_has_one_meaning(status: int, body: bytes, kind: SendKind) -> None:
    assert of_answer(status, {}, body, NOON).kind is kind


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b'{"parameters": {"retry_after": 7}}', 7.0),
        ({"retry-after": "0.65"}, b'{"retry_after": 0.651}', 0.651),
        ({"retry-after": "12"}, b"", 12.0),
        ({"retry-after": format_datetime(NOON + timedelta(seconds=30), usegmt=True)}, b"", 30.0),
        ({}, b"", DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "soon"}, b'{"retry_after": "nan"}', DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "0"}, b'{"retry_after": 0}', MIN_RETRY_AFTER_S),
        ({"retry-after": format_datetime(NOON - timedelta(seconds=30), usegmt=True)}, b"", MIN_RETRY_AFTER_S),
        ({"retry-after": "-5"}, b'{"retry_after": true}', DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "1e9"}, b"", MAX_RETRY_AFTER_S),
        ({}, b'{"retry_after": 1' + b"0" * 400 + b"}", MAX_RETRY_AFTER_S),
        ({"retry-after": "Fri, 10 Oct 99999999999 12:00:00 GMT"}, b"", DEFAULT_RETRY_AFTER_S),
    ],
)
def test_a_rate_limit_waits_as_long_as_the_service_says(headers: dict[str, str], body: bytes, seconds: float) -> None:
    assert of_answer(429, headers, body, NOON).retry_after_s == pytest.approx(seconds)


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after"]), st.text()), st.binary())
def test_no_answer_is_too_strange_to_judge(status: int, headers: dict[str, str], body: bytes) -> None:
    result = of_answer(status, headers, body, NOON)
    assert (result.kind is SendKind.ACCEPTED) == (200 <= status < 300)
    assert (result.retry_after_s is not None) == (status == 429)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(["parameters", "retry_after", "description", "message", "migrate_to_chat_id"]), c
            )
        ),
        max_leaves=8,
    )
)
def test_no_json_is_too_strange_to_judge(answer: Any) -> None:
    result = of_answer(429, {}, json.dumps(answer).encode(), NOON)
    assert result.retry_after_s is not None
    assert 0 <= result.retry_after_s <= MAX_RETRY_AFTER_S

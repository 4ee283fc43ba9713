"""Apprise's own Telegram plugin against a server that answers as Telegram does."""

import pytest

from monitor.clock import SystemClock
from monitor.domain.reading import Severity
from monitor.notify.channels import TELEGRAM_LIMIT, Channel, channel_error, open_channels
from monitor.notify.message import Rendered
from monitor.notify.results import SendKind
from tests.services import (
    PARSE_ERROR,
    TELEGRAM_TOKEN,
    TELEGRAM_URL,
    Answer,
    Service,
    drips,
    hangs,
    hangs_up,
    telegram,
    telegram_says,
)

MESSAGE = Rendered("CRITICAL main: a <b> & c", "line one\nDo: add 5 USDT", (), Severity.CRITICAL)


def channel_to(service: Service, url: str = TELEGRAM_URL, deadline_s: float = 5.0) -> Channel:
    return Channel("phone", url, SystemClock(), deadline_s=deadline_s, base_url=service.url)


async def test_a_message_arrives_with_its_markup_escaped() -> None:
    async with telegram() as service:
        result = await channel_to(service).send(MESSAGE)
    assert result.is_accepted
    assert service.paths == [f"/bot{TELEGRAM_TOKEN}/sendMessage"]
    (sent,) = service.messages
    assert sent["chat_id"] == 4242
    assert sent["parse_mode"] == "HTML"
    assert " ".join(sent["text"].split()) == "<b>CRITICAL main: a &lt;b&gt; &amp; c</b> line one Do: add 5 USDT"


async def test_a_title_alone_is_a_message() -> None:
    async with telegram() as service:
        assert (await channel_to(service).send(Rendered("works again", "", (), Severity.WARNING))).is_accepted
    assert service.texts == ["works again"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (telegram_says(401, "Unauthorized"), SendKind.UNAUTHORIZED),
        (telegram_says(403, "Forbidden: bot was blocked by the user"), SendKind.UNAUTHORIZED),
        (telegram_says(404, "Not Found"), SendKind.UNAUTHORIZED),
        (telegram_says(400, "Bad Request: chat not found"), SendKind.UNAUTHORIZED),
        (telegram_says(500, "Internal Server Error"), SendKind.TRANSIENT),
        (hangs_up, SendKind.AMBIGUOUS),
    ],
)
async def test_a_failure_is_one_request_and_one_kind(answer: Answer, kind: SendKind) -> None:
    async with telegram() as service:
        service.always = answer
        result = await channel_to(service).send(MESSAGE)
    assert result.kind is kind
    assert len(service.messages) == 1


async def test_a_rate_limit_is_handed_on_with_its_seconds_and_not_resent() -> None:
    async with telegram() as service:
        service.always = telegram_says(429, "Too Many Requests: retry after 7", retry_after=7)
        result = await channel_to(service).send(MESSAGE)
    assert (result.kind, result.retry_after_s) == (SendKind.RATE_LIMITED, 7.0)
    assert len(service.messages) == 1


async def test_a_text_telegram_cannot_parse_goes_at_once_as_plain_text() -> None:
    async with telegram() as service:
        service.answers.append(PARSE_ERROR)
        result = await channel_to(service).send(MESSAGE)
    assert result.is_accepted
    assert "parse_mode" not in service.messages[1]
    assert service.texts[1] == f"{MESSAGE.title}\n{MESSAGE.body}"


async def test_the_plain_text_is_cut_to_size_and_refused_only_once() -> None:
    async with telegram() as service:
        service.always = telegram_says(400, "Bad Request: message is too long")
        result = await channel_to(service).send(Rendered("t", "x" * 9_000, (), Severity.WARNING))
    assert result.kind is SendKind.REJECTED
    assert len(service.messages) == 2
    assert len(service.texts[1]) == TELEGRAM_LIMIT


async def test_a_group_that_became_another_chat_is_followed_and_stays_followed() -> None:
    async with telegram() as service:
        service.answers.append(telegram_says(400, "group chat was upgraded", migrate_to_chat_id=-100777))
        channel = channel_to(service, f"tgram://{TELEGRAM_TOKEN}/-4242")
        first, second = await channel.send(MESSAGE), await channel.send(MESSAGE)
    assert first.is_accepted
    assert first.moved_to == -100777
    assert second.moved_to is None
    assert [message["chat_id"] for message in service.messages] == [-4242, -100777, -100777]


async def test_groups_that_point_at_each_other_are_not_followed_for_ever() -> None:
    async with telegram() as service:
        service.always = telegram_says(400, "upgraded", migrate_to_chat_id=-1001)
        result = await channel_to(service).send(MESSAGE)
    assert result.kind is SendKind.TRANSIENT
    assert len(service.messages) == 3


@pytest.mark.parametrize("answer", [hangs, drips])
async def test_no_answer_outlives_the_deadline_and_the_channel_goes_on(answer: Answer) -> None:
    async with telegram() as service:
        service.answers.append(answer)
        channel = channel_to(service, deadline_s=0.3)
        assert (await channel.send(MESSAGE)).kind is SendKind.AMBIGUOUS
        assert (await channel.send(MESSAGE)).is_accepted


async def test_what_could_not_even_connect_was_not_sent() -> None:
    channel = Channel("phone", TELEGRAM_URL, SystemClock(), base_url="http://127.0.0.1:1/bot")
    assert (await channel.send(MESSAGE)).kind is SendKind.TRANSIENT


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (TELEGRAM_URL, None),
        ("discord://987654321098765432/canary-token_4711", None),
        ("https://discord.com/api/webhooks/987654321098765432/canary-token_4711", None),
        ("json://localhost/hook", None),
        (f"tgram://{TELEGRAM_TOKEN}/", "found none"),
        (f"tgram://{TELEGRAM_TOKEN}/1/2", "found 2"),
        ("tgram://canary_4711/1", "expected an Apprise URL"),
        ("nosuch://canary_4711", "expected an Apprise URL"),
        ("tgram://", "expected an Apprise URL"),
        ("", "expected an Apprise URL"),
    ],
)
def test_a_url_is_one_recipient_or_an_error_that_does_not_repeat_it(
    url: str, words: str | None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    error = channel_error(url)
    assert (error is None) == (words is None)
    if error is not None and words is not None:
        assert words in error
        with pytest.raises(ValueError, match=words) as caught:
            Channel("phone", url, SystemClock())
        assert "4711" not in str(caught.value)
    assert "4711" not in f"{error}{caplog.text}{capfd.readouterr()}"


def test_a_reload_keeps_the_channels_whose_url_is_the_same() -> None:
    clock = SystemClock()
    before = open_channels({"a": TELEGRAM_URL, "b": "json://localhost/x"}, clock)
    after = open_channels({"a": TELEGRAM_URL, "b": "json://localhost/y"}, clock, kept=before)
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]

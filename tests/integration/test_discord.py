"""Apprise's own Discord plugin against a server that answers as Discord does."""

import pytest

from monitor.clock import SystemClock
from monitor.domain.reading import Severity
from monitor.notify.channels import DISCORD_LIMIT, Channel
from monitor.notify.message import Rendered, render
from monitor.notify.results import SendKind
from tests.outbox import NOON, a_row, key
from tests.services import DISCORD_TOKEN, DISCORD_URL, Answer, Service, discord, discord_says, drips, hangs, hangs_up

MESSAGE = Rendered("CRITICAL main: a", "line one\nDo: add 5 USDT", (), Severity.CRITICAL)


def channel_to(service: Service, deadline_s: float = 5.0) -> Channel:
    return Channel("desk", DISCORD_URL, SystemClock(), deadline_s=deadline_s, base_url=service.url)


async def test_a_message_arrives_as_text_that_can_ping_nobody() -> None:
    async with discord() as service:
        assert (await channel_to(service).send(MESSAGE)).is_accepted
    assert service.paths == [f"/api/webhooks/987654321098765432/{DISCORD_TOKEN}"]
    (sent,) = service.messages
    assert sent["allowed_mentions"] == {"parse": []}
    assert sent["content"].split() == ["CRITICAL", "main:", "a", "line", "one", "Do:", "add", "5", "USDT"]
    assert "embeds" not in sent


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (discord_says(200, {"id": "1"}), SendKind.ACCEPTED),
        (discord_says(401, {"message": "Invalid Webhook Token", "code": 50027}), SendKind.UNAUTHORIZED),
        (discord_says(404, {"message": "Unknown Webhook", "code": 10015}), SendKind.UNAUTHORIZED),
        (discord_says(500), SendKind.TRANSIENT),
        (hangs_up, SendKind.AMBIGUOUS),
    ],
)
async def test_an_answer_is_one_request_and_one_kind(answer: Answer, kind: SendKind) -> None:
    async with discord() as service:
        service.always = answer
        result = await channel_to(service).send(MESSAGE)
    assert result.kind is kind
    assert len(service.messages) == 1


async def test_a_rate_limit_is_left_to_us_fraction_and_all() -> None:
    async with discord() as service:
        service.always = discord_says(
            429,
            {"message": "You are being rate limited.", "retry_after": 0.65, "global": False},
            Retry_After="1",
            X_RateLimit_Remaining="0",
            X_RateLimit_Reset="99999999999",
        )
        channel = channel_to(service)
        first = await channel.send(MESSAGE)
        service.always = discord_says(429, {"retry_after": 0.65})
        second = await channel.send(MESSAGE)
    assert (first.kind, first.retry_after_s) == (SendKind.RATE_LIMITED, 1.0)
    assert (second.kind, second.retry_after_s) == (SendKind.RATE_LIMITED, 0.65)
    assert len(service.messages) == 2


async def test_a_refused_text_goes_once_more_cut_to_size() -> None:
    async with discord() as service:
        service.answers.append(discord_says(400, {"content": ["Must be 2000 or fewer in length."]}))
        result = await channel_to(service).send(Rendered("t", "x" * 3_000, (), Severity.WARNING))
    assert result.is_accepted
    assert len(service.texts[1]) <= DISCORD_LIMIT


async def test_the_longest_digest_stays_below_discords_limit() -> None:
    rows = [a_row(key=key(account=f"fund_{n}_with_a_long_name")) for n in range(100)]
    async with discord() as service:
        channel = channel_to(service)
        rendered = render(rows, NOON, channel.limit)
        assert (await channel.send(rendered)).is_accepted
    assert 1_500 < len(service.texts[0]) <= 2_000


@pytest.mark.parametrize("answer", [hangs, drips])
async def test_no_answer_outlives_the_deadline(answer: Answer) -> None:
    async with discord() as service:
        service.always = answer
        assert (await channel_to(service, deadline_s=0.2).send(MESSAGE)).kind is SendKind.AMBIGUOUS

"""Every sickness of every kind of service, beside one that is well: what becomes of the rows, and of the well one.

A sick service heals in the end, and then what was owed arrives: once, or marked where it may have arrived before.
"""

import asyncio
import threading
from dataclasses import dataclass

import pytest

from monitor.clock import SystemClock
from monitor.domain.alert import Alert
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.notify.lane import DOWN_AFTER
from monitor.notify.message import Rendered
from monitor.notify.results import MAX_RETRY_AFTER_S, SendKind, SendResult
from monitor.notify.schedule import DISABLED_RETRY
from monitor.notify.wire import MAX_BODY_BYTES, MAX_STUCK_THREADS, BusyError, Sender
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.daemon_kit import SkippingClock
from tests.outbox import NOON, a_row, delivering, enqueue, everybody, key, now_of, until
from tests.services import (
    DISCORD,
    KINDS,
    TELEGRAM,
    WEBHOOK,
    Ailment,
    Answer,
    Kind,
    Service,
    babbles,
    breaks_off,
    discord,
    drips,
    drips_headers,
    floods,
    hangs,
    hangs_up,
    slams,
    slams_midway,
    telegram_says,
    webhook_says,
)

SPEED = 10.0
MESSAGE = Rendered("CRITICAL main: a", "line one", (), Severity.CRITICAL)
DISABLED_S = DISABLED_RETRY.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    """`held_s` is how long the target is left alone after it; `deadline_s` where nothing else ends a send."""

    name: str
    kind: SendKind
    answer: Answer | None = None
    ailment: Ailment | None = None
    held_s: float = 0.0
    deadline_s: float = 60.0
    is_told: bool = False


def _rate_limited(name: str, held_s: float, **headers: str) -> Sickness:
    return Sickness(
        name=name,
        kind=SendKind.RATE_LIMITED,
        answer=webhook_says(429, "slow down", **headers),
        held_s=held_s,
        is_told=held_s >= 300,
    )


def _refused(status: int) -> Sickness:
    return Sickness(
        name=str(status),
        kind=SendKind.UNAUTHORIZED,
        answer=webhook_says(status),
        held_s=DISABLED_S,
        is_told=True,
    )


def _hanging(name: str, *, answer: Answer | None = None, ailment: Ailment | None = None) -> Sickness:
    return Sickness(name=name, kind=SendKind.AMBIGUOUS, answer=answer, ailment=ailment, deadline_s=8.0)


SICKNESSES = (
    _hanging("hangs", answer=hangs),
    _hanging("slow headers", ailment=drips_headers),
    Sickness(name="400", kind=SendKind.REJECTED, answer=webhook_says(400)),
    _refused(401),
    _refused(403),
    _refused(404),
    _rate_limited("429", 5.0),
    _rate_limited("429 at once", 0.5, Retry_After="0"),
    _rate_limited("429 for 7 s", 7.0, Retry_After="7"),
    _rate_limited("429 with a fraction", 6.5, Retry_After="6.5"),
    _rate_limited("429 for ever", MAX_RETRY_AFTER_S, Retry_After="9" * 400),
    _rate_limited("429 in words", 5.0, Retry_After="Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
    Sickness(name="500", kind=SendKind.TRANSIENT, answer=webhook_says(500)),
    Sickness(name="503", kind=SendKind.TRANSIENT, answer=webhook_says(503)),
    Sickness(name="502 page", kind=SendKind.AMBIGUOUS, answer=webhook_says(502, "<h1>Bad Gateway</h1>")),
    Sickness(name="504", kind=SendKind.AMBIGUOUS, answer=webhook_says(504)),
    Sickness(name="closes unread", kind=SendKind.AMBIGUOUS, ailment=slams),
    Sickness(name="closes midway", kind=SendKind.AMBIGUOUS, ailment=slams_midway),
    Sickness(name="closes after", kind=SendKind.AMBIGUOUS, answer=hangs_up),
    Sickness(name="garbage", kind=SendKind.AMBIGUOUS, ailment=babbles),
    Sickness(name="leads to a page", kind=SendKind.TRANSIENT, answer=webhook_says(302, Location="/login")),
    Sickness(name="moved to a page", kind=SendKind.TRANSIENT, answer=webhook_says(301, Location="/login")),
    Sickness(name="500 without end", kind=SendKind.TRANSIENT, answer=floods(500, [])),
)


def _warning(account: str, target: str, clock: SkippingClock) -> Notification:
    """Not critical, so that nothing is escalated: what the well channel gets is its own."""
    return now_of(a_row(key=key(account), target=target, severity=Severity.WARNING), clock)


def _written(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    """Every state of every row, as it is written from now on: a live one may be at its next attempt already."""
    written: list[Notification] = []
    apply = store.apply

    async def noted(changes: Changes) -> None:
        written.extend(changes.notifications)
        await apply(changes)

    monkeypatch.setattr(store, "apply", noted)
    return written


def _lines(service: Service, account: str) -> list[str]:
    """The messages or lines of digests about that account, each with its mark."""
    lines = []
    for text in service.texts:
        is_digest = "2 warnings" in text
        lines += [line if is_digest else text for line in text.splitlines() if f"WARNING {account}:" in line]
    return lines


@pytest.mark.parametrize("sickness", SICKNESSES, ids=lambda sickness: sickness.name)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_sick_service_harms_nobody_else_and_gets_all_it_is_owed_once_it_is_well(
    kind: Kind, sickness: Sickness, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SkippingClock(NOON, SPEED)
    async with kind.double() as sick, discord() as well:
        sick.always, sick.ailing = sickness.answer, sickness.ailment
        channels = {
            "sick": kind.channel("sick", sick, clock, deadline_s=sickness.deadline_s),
            "well": DISCORD.channel("well", well, clock, deadline_s=60),
        }
        async with delivering(clock, channels) as (store, delivery):
            written = _written(store, monkeypatch)
            await enqueue(store, _warning("first", "sick", clock), _warning("other", "well", clock))
            await until(lambda: any(row.last_error for row in written))
            row = next(row for row in written if row.last_error)
            assert row.last_error is not None
            assert row.last_error.startswith(f"{sickness.kind}: ")
            assert row.state is DeliveryState.RETRY
            assert row.attempts == (0 if sickness.kind is SendKind.RATE_LIMITED else 1)
            assert row.possible_repeat is (sickness.kind is SendKind.AMBIGUOUS)
            state = {state.name: state for state in delivery.channel_states()}
            assert (state["sick"].ok, state["well"].ok) == (False, True)

            if sickness.is_told:
                clock.skip(DOWN_AFTER.total_seconds())
                await until(lambda: any("channel sick is down" in text for text in well.texts))
            sick.messages.clear()
            sick.always = sick.ailing = None
            clock.skip(sickness.held_s)
            await enqueue(store, _warning("later", "sick", clock))
            await until(lambda: not store.undelivered and (not sickness.is_told or len(well.messages) > 2), within_s=15)
            assert all(state.ok for state in delivery.channel_states())
        again, later = _lines(sick, "first"), _lines(sick, "later")
    assert (len(again), len(later)) == (1, 1), sick.texts
    assert ("possible repeat" in again[0]) is row.possible_repeat
    assert "possible repeat" not in later[0]
    assert len(_lines(well, "other")) == 1
    told = " ".join(well.texts)
    assert ("channel sick is down" in told, "channel sick works again" in told) == (sickness.is_told,) * 2
    assert len(well.messages) <= 3


@pytest.mark.parametrize("kind", [DISCORD, WEBHOOK], ids=["discord", "webhook"])
@pytest.mark.parametrize(
    "answer", [drips, breaks_off, webhook_says(200, "<h1>Thank you</h1>")], ids=["drips", "breaks off", "page"]
)
async def test_success_is_known_by_its_status_whatever_becomes_of_the_rest(kind: Kind, answer: Answer) -> None:
    async with kind.double() as service:
        service.always = answer
        result = await kind.channel("phone", service, SystemClock()).send(MESSAGE)
    assert result.is_accepted
    assert len(service.messages) == 1


@pytest.mark.parametrize(
    "answer",
    [drips, breaks_off, webhook_says(200, "<h1>Log in to this network</h1>"), webhook_says(202, "[1]")],
    ids=["drips", "breaks off", "page", "202"],
)
async def test_a_success_that_is_not_telegrams_word_may_or_may_not_have_arrived(answer: Answer) -> None:
    async with TELEGRAM.double() as service:
        service.always = answer
        result = await TELEGRAM.channel("phone", service, SystemClock()).send(MESSAGE)
    assert result.kind is SendKind.AMBIGUOUS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_of_an_answer_without_end_only_the_beginning_is_taken(kind: Kind, status: int) -> None:
    written: list[int] = []
    async with kind.double() as service:
        service.always = floods(status, written)
        await kind.channel("phone", service, SystemClock()).send(MESSAGE)
        taken = sum(written)
    # What the two ends of a connection hold comes on top.
    assert MAX_BODY_BYTES <= taken < 64 * MAX_BODY_BYTES


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_only_where_the_message_goes_along(status: int) -> None:
    """The others would fetch a page instead, whose 200 looks like success."""
    async with WEBHOOK.double() as old, WEBHOOK.double() as new:
        old.always = webhook_says(status, Location=new.url)
        result = await WEBHOOK.channel("hook", old, SystemClock()).send(MESSAGE)
    assert result.is_accepted == (len(new.messages) == 1) == (status in (307, 308))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_server_that_knows_no_tls_was_sent_nothing(kind: Kind) -> None:
    """The greeting fails before anything of ours is sent."""
    async with kind.double() as service:
        by_tls = Service(url=service.url.replace("http", "https", 1))
        result = await kind.channel("phone", by_tls, SystemClock()).send(MESSAGE)
    assert (result.kind, service.messages) == (SendKind.TRANSIENT, [])
    assert "no connection" in result.detail


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_threads_held_by_answers_that_drip_end_with_the_wait_for_them(kind: Kind) -> None:
    async with kind.double() as service:
        service.ailing = drips_headers
        channel = kind.channel(f"held-{kind.name}", service, SystemClock(), deadline_s=0.1)
        kinds = [(await channel.send(MESSAGE)).kind for _ in range(2 * MAX_STUCK_THREADS)]
        await until(lambda: not _threads(f"held-{kind.name}"))
        service.ailing = None
        healed = await kind.channel("well", service, SystemClock()).send(MESSAGE)
        assert set(kinds) == {SendKind.AMBIGUOUS}
        assert healed.is_accepted


def _threads(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"notify-{name}"]


async def test_threads_that_nothing_ends_are_bounded_and_their_channel_goes_on_once_they_do() -> None:
    sender, released = Sender("stuck"), threading.Event()
    try:
        for _ in range(MAX_STUCK_THREADS):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await sender.run(released.wait)
        with pytest.raises(BusyError, match=f"{MAX_STUCK_THREADS} earlier sends have not ended"):
            await sender.run(released.wait)
        assert len(_threads("stuck")) == MAX_STUCK_THREADS
    finally:
        released.set()
    await until(lambda: not _threads("stuck"))
    assert await sender.run(released.wait)
    sender.close()


@pytest.mark.parametrize("answer", [hangs, telegram_says(429, "later", retry_after=3_000)], ids=["hangs", "429"])
async def test_a_critical_that_hangs_goes_to_the_fallback_at_15_s_and_to_everyone_at_60(answer: Answer) -> None:
    clock = SkippingClock(NOON, 20)
    audience = everybody("phone", "desk", "backup", fallbacks=("backup",))
    async with TELEGRAM.double() as sick, discord() as quiet, WEBHOOK.double() as spare:
        sick.always = answer
        channels = {
            "phone": TELEGRAM.channel("phone", sick, clock),
            "desk": DISCORD.channel("desk", quiet, clock, deadline_s=200),
            "backup": WEBHOOK.channel("backup", spare, clock, deadline_s=200),
        }
        async with delivering(clock, channels, audience=audience) as (store, _):
            started = asyncio.get_running_loop().time()
            await enqueue(store, now_of(a_row(), clock))
            await until(lambda: quiet.messages, within_s=15)
    assert (spare.times[0] - started) * 20 >= 15
    assert (quiet.times[0] - started) * 20 >= 60
    assert (len(spare.messages), len(quiet.messages)) == (1, 1)
    assert not any("possible repeat" in text for text in (*spare.texts, *quiet.texts))


async def test_a_channel_is_not_called_down_for_a_failure_of_long_ago_when_nothing_has_tried_it_since() -> None:
    clock = SkippingClock(NOON, 25)
    async with TELEGRAM.double() as sick, discord() as well:
        sick.always = telegram_says(500)
        channels = {
            "phone": TELEGRAM.channel("phone", sick, clock, deadline_s=200),
            "desk": DISCORD.channel("desk", well, clock, deadline_s=200),
        }
        async with delivering(clock, channels) as (store, delivery):
            row = now_of(a_row(severity=Severity.INFO), clock)
            await enqueue(store, row)
            await until(lambda: any(not state.ok for state in delivery.channel_states()))
            await store.apply(Changes(alerts=(Alert(key=row.key, episode=row.episode),)))
            await until(lambda: not store.undelivered)
            clock.skip(DOWN_AFTER.total_seconds())
            await clock.sleep(5)
            assert not well.messages


async def test_a_send_that_ended_as_its_channel_was_replaced_does_not_go_again() -> None:
    clock = SystemClock()
    async with TELEGRAM.double() as service, discord() as other:
        first, second = TELEGRAM.channel("phone", service, clock), DISCORD.channel("phone", other, clock)
        async with delivering(clock, {"phone": first}) as (store, delivery):
            send = first.send

            async def replaced_at_its_end(rendered: Rendered) -> SendResult:
                result = await send(rendered)
                # Runs once the outcome is handed to the store, and before the store has it.
                asyncio.get_running_loop().call_soon(delivery.replace_channels, {"phone": second}, everybody("phone"))
                return result

            first.send = replaced_at_its_end  # type: ignore[method-assign]
            await enqueue(store, now_of(a_row(key=key("fund-0")), clock))
            await until(lambda: service.messages and not store.undelivered)
            await enqueue(store, now_of(a_row(key=key("next")), clock))
            await until(lambda: other.messages and not store.undelivered)
        assert len(service.messages) == len(other.messages) == 1
        assert "fund-0" not in other.texts[0]

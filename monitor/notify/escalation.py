"""Whom a critical message goes to when its own channel does not confirm it. Pure.

An escalated row keeps the time of the first, so that the next step counts from there as well.
"""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from monitor.config.settings import Settings
from monitor.domain.alert import Reason
from monitor.domain.notification import DeliveryState, NoticeFacts, Notification, is_bad_end
from monitor.domain.reading import PORTFOLIO, AlertKey, Scope, Severity

TO_FALLBACK_AFTER = timedelta(seconds=15)
TO_EVERYONE_AFTER = timedelta(seconds=60)
CHANNEL_DOWN = "channel_down"

# One message of one alert (key, episode, sequence) to one target, whatever its reason is there.
Handed = tuple[AlertKey, int, int, str]


@dataclass(frozen=True, slots=True)
class Audience:
    """Per account: the channels that take over, and all that may hear of it."""

    fallbacks: Callable[[str], tuple[str, ...]]
    everyone: Callable[[str], tuple[str, ...]]

    @classmethod
    def of(cls, settings: Settings) -> "Audience":
        """An account that is gone is told to the channels that hear of every account."""
        known = {*settings.accounts, PORTFOLIO}
        unlimited = {name: channel for name, channel in settings.channels.items() if channel.accounts is None}

        @cache
        def fallbacks(account: str) -> tuple[str, ...]:
            if account in known:
                return settings.fallbacks_for(account)
            return tuple(name for name, channel in unlimited.items() if channel.fallback)

        @cache
        def everyone(account: str) -> tuple[str, ...]:
            if account not in known:
                return tuple(unlimited)
            regular = (name for severity in Severity for name in settings.channels_for(account, severity))
            return tuple(dict.fromkeys((*regular, *settings.fallbacks_for(account))))

        return cls(fallbacks, everyone)


def handed(row: Notification) -> Handed:
    return row.key, row.episode, row.sequence, row.target


def is_past(row: Notification) -> bool:
    """What nothing that comes later can take back: a notice, or that the venue took the position."""
    return row.reason is Reason.NOTICE or is_bad_end(row)


def _reason_for(row: Notification, *, has_heard: bool) -> Reason:
    """What is the first of an episode to one channel may be a repetition to another, and the other way round."""
    if is_past(row):
        return row.reason
    if not has_heard:
        return Reason.FIRST
    return Reason.REPEAT if row.reason is Reason.FIRST else row.reason


def escalations(
    rows: Iterable[Notification],
    audience: Audience,
    is_owed: Callable[[Handed], bool],
    told: Callable[[AlertKey, int], Set[str]],
    unavailable: Callable[[str], timedelta],
    now: datetime,
) -> Iterator[Notification]:
    """Rows to enqueue for other targets, each message once per target.

    `is_owed` tells whether a target exists and was not handed the message before; `told` names who has heard of an
    episode; `unavailable` adds to a row's age what its target's state is worth: one that is down is not waited for, a
    removed one least of all.
    """
    seen: set[Handed] = set()
    first_told: set[tuple[AlertKey, int, str]] = set()
    for row in rows:
        if row.severity is not Severity.CRITICAL or (row.reason is Reason.RESOLVED and not is_past(row)):
            continue
        age = now - row.created_at + unavailable(row.target)
        if age < TO_FALLBACK_AFTER:
            continue
        account = row.key.account
        targets = audience.everyone(account) if age >= TO_EVERYONE_AFTER else audience.fallbacks(account)
        owed = [
            target
            for target in targets
            if (message := (row.key, row.episode, row.sequence, target)) not in seen and is_owed(message)
        ]
        seen.update((row.key, row.episode, row.sequence, target) for target in owed)
        heard = told(row.key, row.episode) if owed else frozenset[str]()
        for target in owed:
            episode = (row.key, row.episode, target)
            has_heard = target in heard or episode in first_told
            first_told.add(episode)
            yield replace(
                row,
                id=None,
                target=target,
                reason=_reason_for(row, has_heard=has_heard),
                state=DeliveryState.PENDING,
                attempts=0,
                send_after=now,
                next_attempt_at=None,
                possible_repeat=False,
                last_error=None,
            )


def channel_notices(
    about: str, title: str, lines: tuple[str, ...], targets: Iterable[str], now: datetime
) -> Iterator[Notification]:
    """News of one channel, for the others."""
    for target in targets:
        yield Notification(
            key=AlertKey(CHANNEL_DOWN, PORTFOLIO, Scope.PORTFOLIO, about),
            episode=int(now.timestamp()),
            sequence=0,
            reason=Reason.NOTICE,
            target=target,
            severity=Severity.WARNING,
            facts=NoticeFacts(title=title, lines=lines),
            created_at=now,
            send_after=now,
        )

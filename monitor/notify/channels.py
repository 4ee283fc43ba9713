"""Channels: one Apprise object per target, each with a thread of its own, and a send that always comes to an end."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import apprise
import requests
from asyncio_throttle import Throttler

from monitor.clock import Clock
from monitor.domain.reading import Severity
from monitor.log import redact, register_secret
from monitor.notify.budget import ANY_SERVICE, DISCORD_WEBHOOK, TELEGRAM_CHAT, TELEGRAM_GROUP, Budget, Limit
from monitor.notify.message import Rendered
from monitor.notify.plugins import Discord, Telegram, open_plugin, recipients
from monitor.notify.results import SendKind, SendResult, of_answer, of_telegrams_answer
from monitor.notify.text import clip
from monitor.notify.wire import BusyError, Exchanged, Sender, observed

SEND_DEADLINE_S = 15.0
# Characters of title and body, kept below what the service takes since it counts markup as well.
TELEGRAM_LIMIT = 3_500
DISCORD_LIMIT = 1_900
OTHER_LIMIT = 3_500
# All messages with one bot token, or to one service: requests per second.
SERVICE_RATE = 25
# Formatted, as plain text, after a move: no message is tried more often at once.
MAX_STEPS = 3
MAX_DETAIL_CHARS = 300
_MIN_SECRET_CHARS = 8


class Channel:
    """One recipient of alerts. `limit` is how many characters a message may have, `budget` how many messages."""

    def __init__(
        self,
        name: str,
        url: str,
        clock: Clock,
        *,
        deadline_s: float = SEND_DEADLINE_S,
        throttler: Throttler | None = None,
        base_url: str | None = None,
    ) -> None:
        """`base_url` stands for the service's own address, for tests. Raises ValueError, without the URL in it, where
        `channel_error` would object."""
        register_url(url)
        plugin: Any = open_plugin(url)
        error = _objection(plugin)
        if error is not None:
            raise ValueError(f"channel {name}: {error}")
        if base_url is not None:
            plugin.notify_url = base_url
        self.name = name
        self._url = url
        self._plugin = plugin
        self._clock = clock
        self._deadline_s = deadline_s
        self._throttler = throttler or Throttler(SERVICE_RATE, 1.0)
        self._sender = Sender(name)
        self._apprise = apprise.Apprise()
        self._apprise.add(plugin)
        self.limit = _limit_of(plugin)
        self.budget = Budget(_limits_of(plugin), clock)

    async def send(self, rendered: Rendered) -> SendResult:
        """One message, ended within the deadline; every failure is a value.

        A text that is refused goes once more as plain text, cut to size; a group that moved is followed at once.
        """
        try:
            async with self._clock.deadline(self._deadline_s):
                return await self._send(rendered)
        except TimeoutError:
            return SendResult(kind=SendKind.AMBIGUOUS, detail=f"no end within {self._deadline_s:g} s")
        except BusyError as error:
            return SendResult(kind=SendKind.TRANSIENT, detail=str(error))
        except Exception as error:  # noqa: BLE001  # a bug in one of Apprise's plugins must not end the watch
            return SendResult(kind=SendKind.AMBIGUOUS, detail=f"the plugin failed: {type(error).__name__}")

    def is_for(self, url: str) -> bool:
        """The channel serves this URL already, so that a reload can keep it."""
        return self._url == url

    def close(self) -> None:
        self._sender.close()

    async def _send(self, rendered: Rendered) -> SendResult:
        plain, moved_to = False, None
        for _ in range(MAX_STEPS):
            result = await self._attempt(rendered, plain)
            if result.kind is SendKind.MOVED and result.moved_to is not None and isinstance(self._plugin, Telegram):
                moved_to = result.moved_to
                self._plugin.move_to(moved_to)
            elif result.kind is SendKind.REJECTED and not plain:
                plain = True
            else:
                break
        kind = SendKind.TRANSIENT if result.kind is SendKind.MOVED else result.kind
        return SendResult(
            kind=kind, detail=redact(result.detail), retry_after_s=result.retry_after_s, moved_to=moved_to
        )

    async def _attempt(self, rendered: Rendered, plain: bool) -> SendResult:
        async with self._throttler:
            exchanged, took, said = await self._sender.run(partial(self._post, rendered, plain))
        if exchanged.status is not None:
            return self._judged(exchanged, took, said)
        if exchanged.error is not None:
            kind = SendKind.AMBIGUOUS if exchanged.reached else SendKind.TRANSIENT
            return SendResult(kind=kind, detail=_connection_detail(exchanged))
        return SendResult(kind=SendKind.ACCEPTED if took else SendKind.AMBIGUOUS, detail=said)

    def _judged(self, exchanged: Exchanged, took: bool, said: str) -> SendResult:
        """Of our own plugins the answer alone; others know better what theirs means, but not whether it arrived."""
        judge = of_telegrams_answer if isinstance(self._plugin, Telegram) else of_answer
        assert exchanged.status is not None, "no answer to judge"
        result = judge(exchanged.status, exchanged.headers, exchanged.body, self._clock.now())
        if result.is_accepted and not took and not isinstance(self._plugin, Telegram | Discord):
            return SendResult(kind=SendKind.AMBIGUOUS, detail=said or result.detail)
        return result

    def _notify(self, title: str, body: str, severity: Severity) -> Any:
        # Services that keep incidents go by it. What is only information may be kept back and still count as sent
        # (Opsgenie), and a success closes what others opened: every message is worth a warning at least.
        kind = apprise.NotifyType.FAILURE if severity is Severity.CRITICAL else apprise.NotifyType.WARNING
        return self._apprise.notify(title=title, body=body, body_format="text", notify_type=kind)

    def _post(self, rendered: Rendered, plain: bool) -> tuple[Exchanged, bool, str]:
        """Blocking, on the channel's thread: what was exchanged, whether Apprise calls it success, and what it said."""
        with observed() as exchanged:
            if plain:
                return exchanged, self._post_plain(rendered), ""
            title, body = (rendered.title, rendered.body) if rendered.body else ("", rendered.title)
            with self._notify(title, body, rendered.severity) as result:
                said = "; ".join(entry.message for entry in result.logs())
                return exchanged, bool(result), said[:MAX_DETAIL_CHARS]

    def _post_plain(self, rendered: Rendered) -> bool:
        text = clip(f"{rendered.title}\n{rendered.body}", self.limit)
        if not isinstance(self._plugin, Telegram):
            return bool(self._notify("", text, rendered.severity))
        try:
            return self._plugin.send_plain(text)
        except requests.RequestException:
            return False  # the exchange tells how


def channel_error(url: str) -> str | None:
    """Why Apprise cannot use this URL, as one sentence without any of it; None where it can."""
    return _objection(open_plugin(url))


def open_channels(
    urls: Mapping[str, str],
    clock: Clock,
    *,
    kept: Mapping[str, Channel] | None = None,
    deadline_s: float = SEND_DEADLINE_S,
    base_url: str | None = None,
) -> dict[str, Channel]:
    """The channels by name; those of one service share its overall rate. Raises ValueError as Channel does.

    Channels of `kept` whose URL is the same go on as they are.
    """
    throttlers: dict[str, Throttler] = {}
    opened = {}
    for name, url in urls.items():
        known = (kept or {}).get(name)
        if known is not None and known.is_for(url):
            opened[name] = known
            continue
        throttler = throttlers.setdefault(url.partition(":")[0].lower(), Throttler(SERVICE_RATE, 1.0))
        opened[name] = Channel(name, url, clock, deadline_s=deadline_s, throttler=throttler, base_url=base_url)
    return opened


def register_url(url: str) -> None:
    """Make every part of the URL that may be a credential unprintable; host names and plain words stay readable."""
    if len(url.partition("://")[2]) >= _MIN_SECRET_CHARS:
        register_secret(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    pieces = [piece for piece in re.split(r"[:@]", parts.netloc) if "." not in piece and piece != "localhost"]
    pieces += [parts.password or ""]
    words = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    pieces += [word for word in words if len(word) >= 20 or re.search(r"\d", word)]
    for piece in pieces:
        if len(piece) >= _MIN_SECRET_CHARS:
            register_secret(piece)
            register_secret(unquote(piece))


def _objection(plugin: Any | None) -> str | None:
    if plugin is None:
        return "expected an Apprise URL such as tgram://<bot token>/<chat id> or discord://<webhook id>/<webhook token>"
    count = recipients(plugin)
    if count == 0:
        return "expected one recipient in the URL and found none: add the chat id to send to"
    if count > 1:
        return f"expected one recipient in the URL and found {count}: give each a channel of its own"
    return None


def _limit_of(plugin: Any) -> int:
    if isinstance(plugin, Telegram):
        return TELEGRAM_LIMIT
    if isinstance(plugin, Discord):
        return DISCORD_LIMIT
    return int(min(OTHER_LIMIT, plugin.body_maxlen))


def _limits_of(plugin: Any) -> tuple[Limit, ...]:
    if isinstance(plugin, Telegram):
        return TELEGRAM_GROUP if plugin.chat_id.startswith(("-", "@")) else TELEGRAM_CHAT
    return DISCORD_WEBHOOK if isinstance(plugin, Discord) else ANY_SERVICE


def _connection_detail(exchanged: Exchanged) -> str:
    """In our own words: the library's name the URL."""
    name = type(exchanged.error).__name__
    return f"connection lost after sending ({name})" if exchanged.reached else f"no connection ({name})"

"""Apprise's plugins as we use them: every resend is ours to decide, nothing can ping, nothing sleeps in a thread.

This file and channels.py alone know Apprise. Telegram and Discord are thin subclasses; any other service is Apprise's
own class.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from typing import Any

import apprise
import requests
from apprise.exception import AppriseException
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.telegram import NotifyTelegram

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0


class Telegram(NotifyTelegram):  # type: ignore[misc]  # Apprise's classes are untyped to us
    """Can also send without parse_mode, for a text whose markup Telegram refuses."""

    def send_plain(self, text: str) -> bool:
        """Raises requests.RequestException where no answer came."""
        chat_id, topic = self.targets[0]
        payload: dict[str, Any] = {
            "chat_id": chat_id,
            "text": text,
            "disable_notification": self.silent,
            "disable_web_page_preview": not self.preview,
        }
        if topic:
            payload["message_thread_id"] = topic
        response = requests.post(
            f"{self.notify_url}{self.bot_token}/sendMessage",
            data=dumps(payload),
            headers={"Content-Type": "application/json", "User-Agent": self.app_id},
            verify=self.verify_certificate,
            timeout=self.request_timeout,
            allow_redirects=self.redirects,
        )
        return response.ok

    @property
    def chat_id(self) -> str:
        return str(self.targets[0][0])

    def move_to(self, chat_id: int) -> None:
        """The group has become another chat."""
        _, topic = self.targets[0]
        self.targets: list[tuple[int, int | None]] = [(chat_id, topic)]


class Discord(NotifyDiscord):  # type: ignore[misc]
    """Leaves what to do about a 429 to us, and forbids every mention."""

    def _send(self, payload: dict[str, Any], *args: Any, **kwargs: Any) -> bool:
        kwargs["rate_limit"] = 0
        self.ratelimit_remaining = 1.0  # else it would sleep before posting
        return bool(super()._send({**payload, "allowed_mentions": {"parse": []}}, *args, **kwargs))


def open_plugin(url: str) -> Any | None:
    """The plugin for one URL, our own class where we have one; None where Apprise cannot use it. Logs nothing.

    Asking Apprise for any other service loads all of its plugins: 20 MB that most monitors never need.
    """
    with _silent():
        try:
            plugin = _open_ours(url) or apprise.Apprise.instantiate(url, _asset())
        except (AppriseException, TypeError, ValueError):
            return None
        if plugin is not None:
            plugin.retry = 0
            plugin.overflow_mode = apprise.OverflowMode.UPSTREAM  # we cut, by lines
            plugin.socket_connect_timeout = CONNECT_TIMEOUT_S
            plugin.socket_read_timeout = READ_TIMEOUT_S
        return plugin


def _open_ours(url: str) -> Any | None:
    scheme = url.partition(":")[0].lower()
    for plugin in (Telegram, Discord):
        parsed = plugin.parse_url(url) if scheme == plugin.secure_protocol else plugin.parse_native_url(url)
        if parsed:
            return plugin(**parsed, asset=_asset())
    return None


def recipients(plugin: Any) -> int:
    """How many the plugin would send to; Telegram without a chat id would guess one, which counts as none."""
    if isinstance(plugin, Telegram):
        return len(plugin.targets)
    targets = getattr(plugin, "targets", None)
    return max(len(plugin), len(targets) if isinstance(targets, list | tuple | set) else 0)


def _asset() -> Any:
    """No pictures from elsewhere, secrets masked in what Apprise prints, and no time limit of Apprise's own: to keep
    it, Apprise would send on its shared pool, whose threads wait for each other and hold the process's exit."""
    return apprise.AppriseAsset(
        app_id="perpwatch",
        app_desc="perpwatch",
        image_url_mask="",
        image_url_logo="",
        secure_logging=True,
        service_timeout=0,
    )


@contextmanager
def _silent() -> Iterator[None]:
    """A malformed URL would be logged whole, token and all; some plugin somewhere imports what is deprecated."""
    logger = logging.getLogger("apprise")
    propagate, handlers = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [logging.NullHandler()]
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            yield
    finally:
        logger.propagate, logger.handlers = propagate, handlers

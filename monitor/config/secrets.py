"""Every secret of a configuration made unprintable as soon as it is known, wherever it may turn up later."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from monitor.config.settings import Settings
from monitor.log import register_secret

# A part of a URL that is a word rather than a key stays readable.
_KEY = re.compile(r"(?=.*\d).{8,}|.{20,}")


def register_secrets(settings: Settings) -> None:
    """Channels' URLs are registered by the channels, who know which of their parts are secret."""
    for secret in _secrets(settings):
        register_secret(secret)


def _secrets(settings: Settings) -> Iterator[str]:
    for account in settings.accounts.values():
        for secret in (account.api_key, account.secret, account.password, account.uid, account.private_key):
            if secret is not None:
                yield secret.get_secret_value()
        if account.proxy is not None:
            yield from _of_login(account.proxy.get_secret_value())
    if settings.heartbeat_url is not None:
        yield from _of_path(settings.heartbeat_url.get_secret_value())


def _of_login(url: str) -> Iterator[str]:
    """The password as written and as meant, and the login as it is sent."""
    parts = urlsplit(url)
    if parts.password:
        yield from (parts.password, unquote(parts.password))
        yield f"{unquote(parts.username or '')}:{unquote(parts.password)}"


def _of_path(url: str) -> Iterator[str]:
    """Who knows where a heartbeat goes can keep it beating."""
    yield url
    for part in urlsplit(url).path.split("/"):
        if _KEY.fullmatch(part):
            yield from (part, unquote(part))

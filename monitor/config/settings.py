"""The settings of a running monitor: frozen, complete, checked. The loader builds them from YAML and environment."""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from monitor.domain.alert import AlertPolicy, LevelPolicy
from monitor.domain.reading import PORTFOLIO, Severity
from monitor.rules.base import Frozen, Rule, SeverityDurations
from monitor.rules.book import AnyRule
from monitor.rules.quantities import Duration, parse_duration

HOUSE_POLICY: Mapping[Severity, LevelPolicy] = {
    Severity.CRITICAL: LevelPolicy(for_s=0, keep_firing_for_s=120, group_wait_s=0, repeat_s=300),
    Severity.WARNING: LevelPolicy(for_s=30, keep_firing_for_s=300, group_wait_s=30, repeat_s=4 * 3600),
    Severity.INFO: LevelPolicy(for_s=120, keep_firing_for_s=300, group_wait_s=60, repeat_s=None),
}
BLIND_KEEP_FIRING_FOR_S = 60.0


def _seconds(low_s: float, high_s: float, expected: str) -> AfterValidator:
    def check(value: float) -> float:
        if not low_s <= value <= high_s:
            raise ValueError(f"expected a duration {expected}")
        return value

    return AfterValidator(check)


def _flag(text: Any) -> bool:
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    raise ValueError("expected true or false")


def _severity(text: Any) -> Severity:
    if isinstance(text, Severity):
        return text
    names = {str(severity): severity for severity in Severity}
    if not isinstance(text, str) or text not in names:
        raise ValueError("expected info, warning or critical")
    return names[text]


def _repeat(text: Any) -> float:
    """Seconds; infinite for `never`."""
    if text == "never":
        return math.inf
    seconds = parse_duration(text)
    if not 60 <= seconds <= 7 * 86400:
        raise ValueError("expected a duration from 1m to 7d, or never")
    return seconds


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed_url(text: str) -> tuple[str, str]:
    """Scheme and host of a URL without control characters; anything else raises ValueError."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # a property that checks the port
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or not text.isprintable() or " " in text:
        raise ValueError("expected a URL such as https://host/path")
    return parts.scheme, host


def _base_url(text: str) -> str:
    scheme, host = _parsed_url(text)
    if "@" in text or "?" in text or "#" in text:
        raise ValueError("expected a URL without user name, query or fragment")
    if scheme == "http" and not _is_loopback(host):
        raise ValueError("expected https: with plain http, keys would travel readable to a host that is not this one")
    return text.rstrip("/")


def _secret_url(secret: SecretStr) -> SecretStr:
    _parsed_url(secret.get_secret_value())
    return secret


def _loopback_host(text: str) -> str:
    if not _is_loopback(text):
        raise ValueError("expected a loopback address such as 127.0.0.1: the page has no login")
    return text


PollInterval = Annotated[Duration, _seconds(1, 3600, "from 1s to 1h")]
ReadDeadline = Annotated[Duration, _seconds(0.5, 120, "from 500ms to 2m")]
Wait = Annotated[Duration, _seconds(0, 86400, "of up to 1d")]
GroupWait = Annotated[Duration, _seconds(0, 600, "of up to 10m")]
Repeat = Annotated[
    float,
    BeforeValidator(_repeat),
    WithJsonSchema({"type": "string", "pattern": r"^(never|(\d+(\.\d+)?(ms|s|m|h|d))+)$", "examples": ["5m", "never"]}),
]
Flag = Annotated[bool, BeforeValidator(_flag)]
SeverityName = Annotated[
    Severity,
    BeforeValidator(_severity),
    WithJsonSchema({"enum": ["info", "warning", "critical"]}),
]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]


class AccountSettings(Frozen):
    """One account at one venue. Keys that may only read are enough; perpwatch never trades."""

    venue: str = Field(description="ccxt id of the venue, such as binanceusdm")
    mode: Literal["live", "demo", "testnet"] = Field(
        default="live", description="real money, or the venue's demo trading or testnet where ccxt supports it"
    )
    api_key: SecretStr | None = Field(default=None, description="API key, read-only permission is enough")
    secret: SecretStr | None = Field(default=None, description="API secret")
    password: SecretStr | None = Field(default=None, description="API passphrase, where the venue has one")
    uid: SecretStr | None = Field(default=None, description="user id, where the venue asks for it")
    private_key: SecretStr | None = Field(default=None, description="private key, where a venue cannot be read without")
    wallet_address: str | None = Field(default=None, description="public wallet address, on venues that have one")
    base_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        default=None, description="a gateway or test server instead of the venue; https, or http on this machine"
    )
    proxy: SecretUrl | None = Field(default=None, description="HTTP proxy for this account's requests")
    poll_interval: PollInterval | None = Field(default=None, description="how often this account is read")
    read_deadline: ReadDeadline | None = Field(default=None, description="how long one call to the venue may take")
    channels: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="names of the channels this account's alerts go to; all of them where not given"
    )
    allow_withdraw_key: Flag = Field(default=False, description="accept a key that may withdraw, without a warning")


class ChannelSettings(Frozen):
    """One recipient of alerts."""

    url: SecretStr = Field(description="Apprise URL of one recipient, such as tgram://token/chat")
    severities: Annotated[frozenset[SeverityName], Field(min_length=1)] = Field(
        default=frozenset({Severity.WARNING, Severity.CRITICAL}), description="which alerts it receives"
    )
    accounts: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="names or globs of the accounts it hears of; all of them where not given"
    )
    fallback: Flag = Field(default=False, description="receives only the critical alerts other channels did not take")

    def hears_of(self, account: str) -> bool:
        return self.accounts is None or any(fnmatchcase(account, glob) for glob in self.accounts)


class SeverityAlerts(Frozen):
    """The waits of one severity, where they are to differ from the defaults."""

    for_: Wait | None = Field(default=None, alias="for", description="how long it must hold before it fires")
    keep_firing_for: Wait | None = Field(default=None, description="how long it must be clear before it resolves")
    group_wait: GroupWait | None = Field(default=None, description="how long to collect alerts into one message")
    repeat: Repeat | None = Field(default=None, description="how often a firing alert is sent again; or never")


class AlertSettings(Frozen):
    """Waits and repeats per severity."""

    critical: SeverityAlerts = SeverityAlerts()
    warning: SeverityAlerts = SeverityAlerts()
    info: SeverityAlerts = SeverityAlerts()

    def policy_for(self, rule: Rule | None) -> AlertPolicy:
        """A rule's own `for` and `keep_firing_for` over these settings over the defaults of the house."""
        return AlertPolicy({severity: self._level(severity, rule) for severity in Severity})

    def blind_policy(self) -> AlertPolicy:
        """For the monitor's own inability to see: told at once."""
        return AlertPolicy(
            {
                severity: LevelPolicy(
                    for_s=0,
                    keep_firing_for_s=BLIND_KEEP_FIRING_FOR_S,
                    group_wait_s=0,
                    repeat_s=self._level(severity, None).repeat_s,
                )
                for severity in Severity
            }
        )

    def _of(self, severity: Severity) -> SeverityAlerts:
        return {Severity.CRITICAL: self.critical, Severity.WARNING: self.warning, Severity.INFO: self.info}[severity]

    def _level(self, severity: Severity, rule: Rule | None) -> LevelPolicy:
        house, own = HOUSE_POLICY[severity], self._of(severity)
        repeat_s = max(_first(own.repeat, house.repeat_s) or math.inf, rule.least_repeat_s(severity) if rule else 0.0)
        return LevelPolicy(
            for_s=_first(_of_rule(rule.for_ if rule else None, severity), own.for_, house.for_s) or 0.0,
            keep_firing_for_s=_first(
                _of_rule(rule.keep_firing_for if rule else None, severity), own.keep_firing_for, house.keep_firing_for_s
            )
            or 0.0,
            group_wait_s=_first(own.group_wait, house.group_wait_s) or 0.0,
            repeat_s=None if repeat_s == math.inf else repeat_s,
        )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _of_rule(wait: float | SeverityDurations | None, severity: Severity) -> float | None:
    return wait.of(severity) if isinstance(wait, SeverityDurations) else wait


class HealthSettings(Frozen):
    """Where the health page is served, on this machine only."""

    host: Annotated[str, AfterValidator(_loopback_host)] = Field(default="127.0.0.1", description="loopback address")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="0 picks a free one")


class LogSettings(Frozen):
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is logged")
    format: Literal["console", "json"] = Field(default="console", description="for people, or one JSON object a line")


class Settings(BaseSettings):
    """Everything a monitor is told. `rules` is the effective set: the profile with the file's own keys over it."""

    model_config = SettingsConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        frozen=True,
        case_sensitive=True,
        env_prefix="PERPWATCH_",
        env_nested_delimiter="__",
        validate_default=False,
    )

    accounts: Annotated[dict[str, AccountSettings], Field(min_length=1)] = Field(description="the accounts to watch")
    channels: dict[str, ChannelSettings] = Field(default_factory=dict, description="who is told")
    profile: Literal["beginner", "retail", "professional"] = Field(
        default="retail", description="the rules to start from; keys under rules override them one by one"
    )
    rules: dict[str, AnyRule] = Field(description="what to alert on, over the profile's rules")
    poll_interval: PollInterval = Field(default=10.0, description="how often each account is read")
    read_deadline: ReadDeadline = Field(default=10.0, description="how long one call to a venue may take")
    alerts: AlertSettings = Field(default=AlertSettings(), description="waits and repeats per severity")
    heartbeat_url: SecretUrl | None = Field(
        default=None, description="called while all is well; a service that misses it tells you that perpwatch died"
    )
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()
    database: Path = Field(default=Path("state/perpwatch.db"), description="file that keeps alerts and the outbox")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The loader has laid the environment over the file already, before profiles and secrets were resolved."""
        return (init_settings,)

    def channels_for(self, account: str, severity: Severity) -> tuple[str, ...]:
        """Names of the channels that are told of this account's alerts of this severity, in the file's order."""
        return tuple(
            name
            for name in self._channels_of(account)
            if severity in self.channels[name].severities and not self.channels[name].fallback
        )

    def fallbacks_for(self, account: str) -> tuple[str, ...]:
        """Names of the channels that take over this account's critical alerts when no other channel confirms one."""
        return tuple(name for name in self._channels_of(account) if self.channels[name].fallback)

    def _channels_of(self, account: str) -> list[str]:
        if account == PORTFOLIO:
            # What is of all accounts is for those who hear of all; where none of them is woken, somebody must be.
            of_all = {name: channel for name, channel in self.channels.items() if channel.accounts is None}
            wakes = any(Severity.CRITICAL in channel.severities and not channel.fallback for channel in of_all.values())
            return list(of_all if wakes else self.channels)
        chosen = self.accounts[account].channels
        return [
            name
            for name, channel in self.channels.items()
            if (chosen is None or name in chosen) and channel.hears_of(account)
        ]

    @property
    def critical_channels(self) -> tuple[str, ...]:
        """Channels that receive the critical alerts of at least one account."""
        heard = {name for account in self.accounts for name in self.channels_for(account, Severity.CRITICAL)}
        return tuple(name for name in self.channels if name in heard)

    @property
    def unheard_accounts(self) -> tuple[str, ...]:
        """Accounts whose critical alerts would reach nobody."""
        return tuple(name for name in self.accounts if not self.channels_for(name, Severity.CRITICAL))

    def poll_interval_of(self, account: str) -> float:
        return self.accounts[account].poll_interval or self.poll_interval

    def read_deadline_of(self, account: str) -> float:
        return self.accounts[account].read_deadline or self.read_deadline

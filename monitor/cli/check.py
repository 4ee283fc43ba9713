"""`perpwatch check`: is the configuration good, and, with --online, do keys, clocks and channels work."""

import asyncio
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from monitor.cli.loading import CONFIG, ConfigPath, load_settings
from monitor.cli.rule_words import rule_words
from monitor.cli.test_alert import send_to_all
from monitor.clock import Clock, SystemClock
from monitor.config.settings import Settings
from monitor.daemon import counted
from monitor.domain.account import PollFailure
from monitor.domain.reading import Severity
from monitor.exchange.modes import credentials_of
from monitor.exchange.registry import Exchanges, coverage, exact_venues, venue_of
from monitor.exchange.venues.figures import Exactness, Figure
from monitor.exchange.venues.venue import KeyFacts
from monitor.log import configure
from monitor.notify.text import duration
from monitor.rules.book import silenced
from monitor.watching import access_of

# Binance refuses a request whose time is further off than its receive window of 5 s.
MAX_SKEW_S = 1.0
# What rules say nothing without, where a venue never tells it.
_RESTS_ON = {
    "adl_rank": Figure.ADL_RANK,
    "collateral": Figure.COLLATERAL,
    "stop_missing": Figure.STOP_ORDERS,
    "tier_cliff": Figure.BRACKETS,
}
_NOTHING_THERE = "nothing is judged there"
_INSTEAD = {"collateral": "a coin is judged there by the mark of its own perpetual, and not at all where it has none"}
_CAPITAL = re.compile("[A-Z]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; an error makes the command exit 1, a warning does not."""

    level: str
    text: str


def check(
    config: ConfigPath = CONFIG,
    online: Annotated[bool, typer.Option("--online", help="Also ask the venues and send a test message.")] = False,
) -> int:
    """Validate the configuration; with --online also keys and their permissions, clock skew, and the channels."""
    settings = load_settings(config)
    configure("warning", settings.log.format)
    findings = [*offline_findings(settings)]
    if online:
        findings += asyncio.run(online_findings(settings, SystemClock()))
    for finding in findings:
        typer.echo(f"{finding.level:<8}{finding.text}")
    errors = sum(finding.level == "error" for finding in findings)
    typer.echo(f"{config}: {counted(errors, 'error') if errors else 'good'}")
    return 1 if errors else 0


def offline_findings(settings: Settings) -> Iterator[Finding]:
    """What the file alone tells: who hears what, and what can be seen of each venue."""
    for name in settings.unheard_accounts:
        yield Finding("error", f"{name}: no channel receives its critical alerts")
    schemes = {settings.channels[name].url.get_secret_value().partition(":")[0] for name in settings.critical_channels}
    if len(schemes) == 1:
        yield Finding(
            "warning", f"critical alerts depend on one provider alone ({schemes.pop()}): add a channel of another"
        )
    yield from _read_twice(settings)
    yield from _without_keys(settings)
    yield from _silenced(settings)
    yield from _repeated_less_often(settings)
    for name, account in settings.accounts.items():
        yield Finding("ok", f"{name}: {account.venue}, read every {settings.poll_interval_of(name):g} s")
    for venue in dict.fromkeys(account.venue for account in settings.accounts.values()):
        yield from _seen_of(venue)
    yield from _untold(settings)
    for name, rule in settings.rules.items():
        kind = "" if name == rule.kind else f" ({rule.kind})"
        yield Finding("ok", f"rule {name}{kind}: {rule_words(rule)}")


def _read_twice(settings: Settings) -> Iterator[Finding]:
    """Another key of the same account is not known to be one."""
    first: dict[Hashable, str] = {}
    for name in settings.accounts:
        access = access_of(settings, name)
        same = (access.venue, access.mode, access.base_url, tuple(sorted(access.credentials.items())))
        other = first.setdefault(same, name) if access.credentials else name
        if other != name:
            yield Finding("warning", f"{name} reads what {other} reads: over all accounts it would count twice")


def _without_keys(settings: Settings) -> Iterator[Finding]:
    for name in settings.accounts:
        access = access_of(settings, name)
        # ccxt's apiKey is the YAML's api_key.
        missing = [
            _CAPITAL.sub(r"_\g<0>", part).lower() for part in credentials_of(access.venue) - access.credentials.keys()
        ]
        if missing:
            yield Finding("error", f"{name}: {access.venue} cannot be read without {' and '.join(sorted(missing))}")


def _silenced(settings: Settings) -> Iterator[Finding]:
    for name, speaker in silenced(settings.rules).items():
        told = f"rule {name} is silent wherever {speaker} speaks, which is for the same"
        yield Finding("warning", f"{told}: one is enough, or needs a where")


def _repeated_less_often(settings: Settings) -> Iterator[Finding]:
    """A repeat of the YAML that is shorter than the least of some rules: one line for all of them."""
    for severity, own in ((Severity.WARNING, settings.alerts.warning), (Severity.CRITICAL, settings.alerts.critical)):
        longer: dict[float, list[str]] = {}
        for name, rule in settings.rules.items():
            least_s = rule.least_repeat_s(severity)
            if own.repeat is not None and own.repeat < least_s and getattr(rule, str(severity), None) is not None:
                longer.setdefault(least_s, []).append(name)
        if longer:
            of_rules = "; ".join(f"{duration(least_s)} for {', '.join(longer[least_s])}" for least_s in sorted(longer))
            told = f"alerts.{severity}.repeat: {duration(own.repeat or 0)} is too short for what may last for days"
            yield Finding("", f"{told}: {of_rules}")


def _seen_of(venue: str) -> Iterator[Finding]:
    """What its reader tells of itself; of one that is no own, which of that name there are."""
    if venue not in exact_venues():
        exact = " and ".join(name for name in exact_venues() if name.startswith(venue))
        hint = f"; {exact} would be read whole" if exact else ""
        yield Finding("warning", f"{venue} is read with gaps{hint}")
    yield from (Finding("", f"{venue}: {sentence}") for sentence in coverage(venue))


def _untold(settings: Settings) -> Iterator[Finding]:
    """Rules of which it is known beforehand that they have nothing to judge by."""
    for name, rule in settings.rules.items():
        figure = _RESTS_ON.get(rule.kind)
        if figure is None:
            continue
        read = {of.venue for account, of in settings.accounts.items() if rule.where.matches_account(account, of.venue)}
        mute = sorted(venue for venue in read if venue_of(venue).figures[figure].exactness is Exactness.UNKNOWN)
        if mute:
            tell = f"{' and '.join(mute)} {'tells' if len(mute) == 1 else 'tell'} no {str(figure).replace('_', ' ')}"
            yield Finding("", f"rule {name}: {tell}: {_INSTEAD.get(rule.kind, _NOTHING_THERE)}")


async def online_findings(settings: Settings, clock: Clock) -> list[Finding]:
    """What venues and channels say: a read, the key's permissions, the clock, and one message each."""
    exchanges = Exchanges(clock)
    try:
        per_account = await asyncio.gather(*(_account_findings(exchanges, settings, n) for n in settings.accounts))
    finally:
        await exchanges.close()
    findings = [finding for findings in per_account for finding in findings]
    for name, result in (await send_to_all(settings, clock)).items():
        if result.is_accepted:
            findings.append(Finding("ok", f"channel {name}: accepted a test message"))
        else:
            findings.append(Finding("error", f"channel {name}: {result.kind}: {result.detail}"))
    return findings


async def _account_findings(exchanges: Exchanges, settings: Settings, name: str) -> list[Finding]:
    source = exchanges.open_account(access_of(settings, name))
    observation = await source.observe()
    if isinstance(observation, PollFailure):
        return [Finding("error", f"{name}: cannot be read: {observation.kind}: {observation.detail}")]
    findings = [Finding("ok", f"{name}: read, {counted(len(observation.positions), 'open position')}")]
    facts = await source.key_facts()
    if isinstance(facts, PollFailure):
        return [*findings, Finding("warning", f"{name}: the key's permissions are unknown: {facts.detail}")]
    allowed = settings.accounts[name].allow_withdraw_key
    return [*findings, *_key_findings(name, facts, source.key_steps, allow_withdraw_key=allowed)]


def _key_findings(name: str, facts: KeyFacts, steps: str, *, allow_withdraw_key: bool) -> Iterator[Finding]:
    if facts.may_withdraw:
        level = "warning" if allow_withdraw_key else "error"
        yield Finding(level, f"{name}: this key may withdraw; make one that may only read")
    if facts.may_trade:
        yield Finding("warning", f"{name}: this key may trade; perpwatch needs one that may only read")
    if (facts.may_withdraw or facts.may_trade) and steps:
        yield Finding("", f"{name}: {steps}")
    if facts.expires_at is not None:
        yield Finding("ok", f"{name}: the key expires {facts.expires_at:%Y-%m-%d}")
    if facts.may_withdraw is None or facts.may_trade is None:
        yield Finding("warning", f"{name}: this venue does not tell what the key may do; look there yourself")
    elif not facts.may_withdraw and not facts.may_trade:
        yield Finding("ok", f"{name}: the key may only read")
    if facts.ip_restricted is False:
        yield Finding("warning", f"{name}: the key works from any address; restrict it to this machine's")
    if facts.clock_ahead_s is not None:
        late = abs(facts.clock_ahead_s) > MAX_SKEW_S
        yield Finding("warning" if late else "ok", f"{name}: this clock is {facts.clock_ahead_s:+.3f} s ahead")
    yield from (Finding("", f"{name}: {note}") for note in facts.notes)

"""`perpwatch explain`: why each rule says of an account what it says: figures, formula, thresholds, their origin."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.errors import CommandError
from monitor.cli.loading import CONFIG, ConfigPath, load_explained
from monitor.cli.once import (
    HOLD,
    INCOMPLETE_EXIT,
    Read,
    as_object,
    print_reading,
    print_table,
    read_all,
    reading_object,
    see,
    together,
    value_words,
)
from monitor.cli.rule_words import where_words
from monitor.clock import Clock, SystemClock
from monitor.config.problems import did_you_mean
from monitor.config.rulebook import Origins
from monitor.config.settings import Settings
from monitor.domain.account import AccountSnapshot, Observation, PollFailure, Position
from monitor.domain.reading import PORTFOLIO, AlertKey, Level, Reading, Scope, Verdict
from monitor.exchange.registry import Exchanges
from monitor.log import configure
from monitor.notify.text import amount, percent, price, threshold
from monitor.pipeline import assess
from monitor.plan import AccountPlan
from monitor.portfolio import assess_portfolio
from monitor.rules.base import Rule
from monitor.rules.baskets import coins_in
from monitor.rules.book import Place, place_of
from monitor.store.database import remembered

# What to do is the alert's to say; why a figure is unknown stands in its place.
_NOT_INPUTS = frozenset(
    {
        *("add_collateral", "cut_share", "cut_size", "cut_positions", "cut_besides", "advice", "why", "is_pending"),
        *("action", "restored_side", "restore_size", "restore_coin", "cut_side", "cut_other_size"),
        *("cut_other_share", "stop_size", "stop_unit", "stop_within"),
    }
)

# How the names of inputs end that are shares of something.
_SHARES = ("rate", "ratio", "share", "sigma", "probability", "annualised", "level", "gain", "fall", "rise", "covered")


@dataclass(frozen=True, slots=True)
class Judged:
    """One reading, the rule that speaks, and by name the other ones that would have spoken of the same."""

    reading: Reading
    rule: Rule
    instead_of: Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class Explained:
    """`silent` are rules that judge nothing here, by name, with the reason; `unread` accounts that are missing in it.

    The observation of all accounts together is an empty one.
    """

    observation: Observation
    judged: tuple[Judged, ...] = ()
    silent: Mapping[str, str] | None = None
    unread: tuple[str, ...] = ()


def explain(
    account: Annotated[
        str, typer.Argument(help="The account's name in the YAML; portfolio: all of them together.", show_default=False)
    ],
    symbol: Annotated[
        str | None, typer.Argument(help="Only what judges it: BTC/USDT:USDT, a coin, or a glob.", show_default=False)
    ] = None,
    config: ConfigPath = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> int:
    """Read once and show why each rule says what it says; exits 2 where what it is of could not be read."""
    settings, origins = load_explained(config)
    if account not in settings.accounts and account in ("portfolio", PORTFOLIO):
        account = PORTFOLIO
    elif account not in settings.accounts:
        hint = did_you_mean(account, settings.accounts)
        raise CommandError(f"no account is called {account}{hint}: there is {', '.join(settings.accounts)}")
    configure("warning", settings.log.format)
    if account == PORTFOLIO:
        found = asyncio.run(explained_together(settings, SystemClock()))
        found = found if symbol is None else _of_underlying(found, symbol)
    else:
        found = asyncio.run(explained(settings, account, SystemClock()))
    if account != PORTFOLIO and symbol is not None and isinstance(found.observation, AccountSnapshot):
        found = _narrowed(found, found.observation, symbol)
    if as_json:
        typer.echo(json.dumps(explained_object(found, origins, settings.profile), indent=2))
    else:
        _print(found, origins, settings.profile)
    return INCOMPLETE_EXIT if isinstance(found.observation, PollFailure) or found.unread else 0


async def explained(settings: Settings, name: str, clock: Clock) -> Explained:
    """One read, judged by all rules as the monitor judges it, and by each of them alone."""
    exchanges = Exchanges(clock)
    try:
        seen = await see(exchanges, settings, name, remembered(settings.database).get(name), clock)
        observation = seen.observation
        if isinstance(observation, PollFailure):
            return Explained(observation)
        plan, now = AccountPlan.of(settings, name), clock.now()
        readings = assess(plan, observation, seen.markets, now, seen.track)
        alone = {
            rule: [
                reading.key
                for reading in assess(
                    replace(plan, rules={rule: plan.rules[rule]}), observation, seen.markets, now, seen.track
                )
                if reading.key.rule == rule
            ]
            for rule in plan.rules
        }
        return Explained(
            observation,
            *_sorted_out(plan, readings, alone, lambda rule: _why_silent(rule, observation)),
        )
    finally:
        await exchanges.close()


async def explained_together(settings: Settings, clock: Clock) -> Explained:
    """The same of all accounts together; `unread` are those that could not be."""
    reads = await read_all(settings, clock)
    plan, portfolio = AccountPlan.of_portfolio(settings), together(settings, reads, clock.now())
    readings = assess_portfolio(plan, portfolio)
    alone = {
        rule: [reading.key for reading in parameters.evaluate_portfolio(rule, portfolio)]
        for rule, parameters in plan.rules.items()
    }
    whole = AccountSnapshot(account=PORTFOLIO, venue=plan.venue, observed_at=portfolio.now, margins=(), positions=())
    unread = tuple(portfolio.unseen)
    silent = partial(_why_not_together, unread)
    return Explained(whole, *_sorted_out(plan, readings, alone, silent), unread=unread)


def _of_underlying(found: Explained, coin: str) -> Explained:
    """What judges that coin, and the sums over all."""
    wanted = {PORTFOLIO, coin.upper()}
    about = [judged for judged in found.judged if not wanted.isdisjoint(coins_in(judged.reading.key.subject))]
    return replace(found, judged=tuple(about))


def _sorted_out(
    plan: AccountPlan,
    readings: Sequence[Reading],
    alone: Mapping[str, Sequence[AlertKey]],
    why_silent: Callable[[Rule], str],
) -> tuple[tuple[Judged, ...], Mapping[str, str]]:
    rules = plan.rules
    speakers = {place_of(rules[of.key.rule], of.key): of.key.rule for of in readings if of.key.rule in rules}
    beaten: dict[Place, dict[str, Rule]] = {}
    beaten_by: dict[str, dict[str, Rule]] = {}
    for name, keys in alone.items():
        for place in (place_of(rules[name], key) for key in keys):
            if speakers[place] != name:
                beaten.setdefault(place, {})[name] = rules[name]
                beaten_by.setdefault(name, {})[speakers[place]] = rules[speakers[place]]
    judged = tuple(
        Judged(reading, rules[reading.key.rule], beaten.get(place_of(rules[reading.key.rule], reading.key), {}))
        for reading in readings
        if reading.key.rule in rules
    )
    speaking = set(speakers.values())
    silent = {
        name: _beaten(name, rule, beaten_by[name]) if name in beaten_by else why_silent(rule)
        for name, rule in rules.items()
        if name not in speaking
    }
    return judged, silent


def _beaten(name: str, rule: Rule, by: Mapping[str, Rule]) -> str:
    """`btc_size speaks in its place (more specific)`."""
    speakers = [f"{speaker} ({_rank(of, name, rule)})" for speaker, of in by.items()]
    return f"{' and '.join(speakers)} {'speaks' if len(speakers) == 1 else 'speak'} in its place"


def _rank(speaker: Rule, name: str, beaten: Rule) -> str:
    """Why the one speaks and not the other."""
    if speaker.where.specificity > beaten.where.specificity:
        return "more specific"
    return "as specific, with a name of its own" if name == beaten.kind else "as specific, later in the YAML"


def _why_silent(rule: Rule, snapshot: AccountSnapshot) -> str:
    if type(rule).evaluate is Rule.evaluate:
        return "it judges all accounts together: perpwatch explain portfolio"
    if not rule.where.matches_account(snapshot.account, snapshot.venue):
        return "it is for other accounts"
    if not snapshot.positions:
        return "no position is open"
    if not any(map(rule.where.matches_position, snapshot.positions)):
        return "it is for other positions"
    return "nothing that it is for is held, or the venue does not tell what it needs"


def _why_not_together(unread: Sequence[str], rule: Rule) -> str:
    if type(rule).evaluate_portfolio is Rule.evaluate_portfolio:
        return "it judges each account by itself"
    known = f"in what could be read ({', '.join(unread)} could not) there is" if unread else "its accounts hold"
    return f"{known} nothing that is only seen together"


def _narrowed(found: Explained, snapshot: AccountSnapshot, symbol: str) -> Explained:
    """What judges those positions: themselves, the pools that hold them, and the sums over the account."""
    positions = [position for position in snapshot.positions if _is_meant(position, symbol)]
    if not positions:
        held = ", ".join(dict.fromkeys(position.instrument.symbol for position in snapshot.positions)) or "nothing"
        raise CommandError(f"{snapshot.account} holds no {symbol}: it holds {held}")
    about = {position.subject for position in positions} | {position.pool for position in positions}
    kept = tuple(
        judged
        for judged in found.judged
        if judged.reading.key.subject in about or judged.reading.key.scope not in (Scope.POSITION, Scope.POOL)
    )
    return replace(found, judged=kept)


def _is_meant(position: Position, symbol: str) -> bool:
    instrument = position.instrument
    return symbol.upper() == instrument.base.upper() or fnmatchcase(instrument.symbol, symbol)


# --- what is said of one reading ---


def worked(rule: Rule, reading: Reading) -> str | None:
    """The rule's formula with its inputs' figures in the place of their names; None where none of them is known."""
    figures = {
        name.replace("_", " "): _figure(name, value)
        for name, value in reading.inputs.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if not figures:
        return None
    names = sorted(figures, key=len, reverse=True)
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names))
    text = pattern.sub(lambda match: figures[match.group()], rule.formula)
    if text == rule.formula:
        return None
    return text if reading.value is None else f"{text} = {value_words(reading)}"


def _told(name: str, value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        is_moment = name == "since" or name.endswith(("_at", "_since"))
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S} UTC" if is_moment else value
    return _figure(name, value)


def _figure(name: str, value: float) -> str:
    if name.endswith(("price", "mark")):
        return price(value)
    return percent(value) if name.endswith(_SHARES) else amount(value)


def _threshold(level: Level, judged: Judged, origins: Origins) -> tuple[str, str]:
    """`15%`, and `from the profile retail`."""
    reading, own = judged.reading, getattr(judged.rule, str(level.severity), None)
    source = origins[reading.key.rule].get(str(level.severity), "by the rule itself")
    here = "" if own is None or level.threshold == own else f", which says {threshold(own, reading.unit)}"
    return threshold(level.threshold, reading.unit), f"{source}{here}"


def _speaker(judged: Judged) -> str:
    name, where = judged.reading.key.rule, where_words(judged.rule.where)
    kind = f" (a {judged.rule.kind})" if name != judged.rule.kind else ""
    instead = "".join(
        f"; in place of {beaten} ({_rank(judged.rule, beaten, rule)})" for beaten, rule in judged.instead_of.items()
    )
    return f"{name}{kind}{f' where {where}' if where else ' for everything'}{instead}"


def explained_object(found: Explained, origins: Origins, profile: str) -> dict[str, Any]:
    """The JSON: what `once` says of a failure; else each reading with its rule, formula and thresholds."""
    read = as_object(Read(found.observation, tuple(judged.reading for judged in found.judged)))
    common = {name: read[name] for name in ("account", "observed_at", "failure")} | {"profile": profile}
    if isinstance(found.observation, PollFailure):
        return common | {"readings": None, "silent": None}
    return common | {"readings": [_object(judged, origins) for judged in found.judged], "silent": found.silent}


def _object(judged: Judged, origins: Origins) -> dict[str, Any]:
    reading, rule = judged.reading, judged.rule
    return reading_object(reading) | {
        "kind": rule.kind,
        "where": rule.where.model_dump(mode="json", exclude_none=True),
        "instead_of": list(judged.instead_of),
        "formula": rule.formula,
        "worked": worked(rule, reading),
        "thresholds": {
            str(level.severity): {
                "value": level.threshold,
                "verdict": str(level.verdict),
                "source": _threshold(level, judged, origins)[1],
            }
            for level in reading.levels
        },
    }


def _print(found: Explained, origins: Origins, profile: str) -> None:
    observation = found.observation
    if isinstance(observation, PollFailure):
        print_table([Read(observation, ())])
        return
    console = Console(highlight=False)
    at = f"{observation.observed_at:%Y-%m-%d %H:%M:%S} UTC"
    who = "portfolio" if observation.account == PORTFOLIO else observation.account
    console.print(f"[bold]{who}[/] on {observation.venue}, {at}, profile {profile}\n")
    for judged in found.judged:
        print_reading(console, judged.reading)
        console.print(_table(judged, origins))
    for name, why in (found.silent or {}).items():
        console.print(f"  silent   {name}: {why}", markup=False, soft_wrap=True)


def _table(judged: Judged, origins: Origins) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _rows(judged, origins):
        table.add_row(f"           {label:<8}", Console().render_str(text, markup=False, highlight=False))
    table.add_row("", "")
    return table


def _rows(judged: Judged, origins: Origins) -> Iterator[tuple[str, str]]:
    reading = judged.reading
    yield "formula", judged.rule.formula
    if numbers := worked(judged.rule, reading):
        yield "numbers", numbers
    told = [
        # `loss 1: 2,338` are not two figures.
        f"{name.replace('_', ' ')}{':' if name[-1].isdigit() else ''} {_told(name, value)}"
        for name, value in reading.inputs.items()
        if value is not None and name not in _NOT_INPUTS
    ]
    if told:
        yield "inputs", ", ".join(told)
    for level in reading.levels:
        text, source = _threshold(level, judged, origins)
        verb = "at or below" if not reading.higher_is_worse else "at"
        verdict = f"{level.verdict}, {HOLD}" if level.verdict is Verdict.HOLD else level.verdict
        yield str(level.severity), f"{verb} {text}, {source}: {verdict}"
    yield "rule", _speaker(judged)

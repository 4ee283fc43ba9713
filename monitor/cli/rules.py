"""`perpwatch rules`: what each rule watches and why, its formula, its defaults, and an alert as it would arrive."""

import inspect
import re
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.errors import CommandError
from monitor.cli.loading import CONFIG, ConfigPath
from monitor.cli.rule_words import own_parameters
from monitor.cli.rules_example import OWN_LEVELS, example_of
from monitor.config.problems import did_you_mean, one_of
from monitor.config.profiles import PROFILES
from monitor.rules.base import Rule
from monitor.rules.book import RULE_KINDS

_SEVERITIES = ("warning", "critical")
# Within a paragraph: the terminal breaks lines where it is narrow.
_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


def rules(
    config: ConfigPath = CONFIG,  # noqa: ARG001  # every command takes it; the rules need no file
    kind: Annotated[str | None, typer.Argument(help="One rule alone.", show_default=False)] = None,
) -> None:
    """What each rule watches and why, its formula, its thresholds in each profile, and an example of its alert."""
    if kind is not None and kind not in RULE_KINDS:
        hint = did_you_mean(kind, RULE_KINDS) or f": there is {one_of(RULE_KINDS)}"
        raise CommandError(f"no rule is called {kind}{hint}")
    console = Console(highlight=False)
    for name, rule in RULE_KINDS.items():
        if kind in (None, name):
            _print_rule(console, name, rule)
    console.print(
        "Each rule also takes: where (account, venue, symbol, side, margin_mode), for, keep_firing_for, hysteresis.\n"
        "`perpwatch explain ACCOUNT` shows each of them at work on an account of yours.",
        markup=False,
    )


def _print_rule(console: Console, kind: str, rule: type[Rule]) -> None:
    console.print(f"[bold]{kind}[/bold]")
    console.print(_LINE_BREAK.sub(" ", inspect.cleandoc(rule.__doc__ or "")), markup=False)
    console.print()
    console.print(_words(rule))
    console.print()
    console.print(_thresholds(kind), markup=False)
    if example := example_of(kind):
        console.print("\nan alert, as it would arrive:", markup=False)
        for line in (example.title, *example.body.splitlines()):
            console.print(f"  | {line}", markup=False, soft_wrap=True)
    console.print()


def _words(rule: type[Rule]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("why", Text(rule.why))
    table.add_row("formula", Text(rule.formula))
    for name, description in own_parameters(rule).items():
        table.add_row("takes", Text(f"{name}: {description}"))
    return table


def _thresholds(kind: str) -> Table | str:
    if not any(kind in of_profile for of_profile in PROFILES.values()):
        return (
            f"in no profile: it needs levels of your own, such as {kind}: {{levels: [{', '.join(OWN_LEVELS[kind])}]}}"
        )
    table = Table("profile", *_SEVERITIES, "", box=None, padding=(0, 3, 0, 0))
    for profile, of_profile in PROFILES.items():
        keys = of_profile.get(kind, {})
        others = "\n".join(f"{key}: {_written(value)}" for key, value in keys.items() if key not in _SEVERITIES)
        table.add_row(profile, *(str(keys.get(severity, "-")) for severity in _SEVERITIES), others)
    return table


def _written(value: str | Mapping[str, str]) -> str:
    """As YAML writes it."""
    return value if isinstance(value, str) else "{" + ", ".join(f"{key}: {of}" for key, of in value.items()) + "}"

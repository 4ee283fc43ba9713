"""`perpwatch rules`: what each rule watches and why, its formula, its defaults, and an alert as it would arrive."""

import inspect
import re
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.loading import CONFIG, ConfigPath
from monitor.cli.rules_example import example_of
from monitor.config.profiles import PROFILES
from monitor.rules.book import RULE_KINDS

_SEVERITIES = ("warning", "critical")
# Within a paragraph: the terminal breaks lines where it is narrow.
_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


def rules(config: ConfigPath = CONFIG) -> None:  # noqa: ARG001  # every command takes it; the rules need no file
    """What each rule watches and why, its formula, its thresholds in each profile, and an example of its alert."""
    console = Console(highlight=False)
    for kind, rule in RULE_KINDS.items():
        console.print(f"[bold]{kind}[/bold]")
        console.print(_LINE_BREAK.sub(" ", inspect.cleandoc(rule.__doc__ or "")), markup=False)
        console.print(f"\nwhy      {rule.why}\nformula  {rule.formula}\n", markup=False)
        console.print(_thresholds(kind))
        if example := example_of(kind):
            console.print("an alert, as the default profile sends it:", markup=False)
            for line in (example.title, *example.body.splitlines()):
                console.print(f"  | {line}", markup=False, soft_wrap=True)
        console.print()
    typer.echo(
        "Each rule also takes: where (account, venue, symbol, side, margin_mode), for, keep_firing_for, hysteresis.\n"
        "`perpwatch explain ACCOUNT` shows each of them at work on an account of yours."
    )


def _thresholds(kind: str) -> Table | str:
    if not any(kind in of_profile for of_profile in PROFILES.values()):
        return "in no profile: it needs levels of your own\n"
    table = Table("profile", *_SEVERITIES, "", box=None, padding=(0, 3, 0, 0))
    for profile, of_profile in PROFILES.items():
        keys = of_profile.get(kind, {})
        others = "\n".join(f"{key}: {_written(value)}" for key, value in keys.items() if key not in _SEVERITIES)
        table.add_row(profile, *(str(keys.get(severity, "-")) for severity in _SEVERITIES), others)
    return table


def _written(value: str | Mapping[str, str]) -> str:
    """As YAML writes it."""
    return value if isinstance(value, str) else "{" + ", ".join(f"{key}: {of}" for key, of in value.items()) + "}"

"""`perpwatch rules`: what each rule means, its formula and its defaults."""

import inspect

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.loading import CONFIG, ConfigPath
from monitor.config.profiles import PROFILES
from monitor.rules.book import RULE_KINDS


def rules(config: ConfigPath = CONFIG) -> None:  # noqa: ARG001  # every command takes it; the rules need no file
    """What each rule watches, its formula, and its thresholds in each profile."""
    console = Console()
    for kind, rule in RULE_KINDS.items():
        console.print(f"[bold]{kind}[/bold]")
        console.print(inspect.cleandoc(rule.__doc__ or ""), highlight=False, markup=False)
        console.print(_thresholds(kind))
    typer.echo(
        "Each rule also takes: where (account, venue, symbol, side, margin_mode), for, keep_firing_for, hysteresis."
    )


def _thresholds(kind: str) -> Table:
    table = Table("profile", "warning", "critical", box=None, padding=(0, 3, 1, 0))
    for profile, rules_of_profile in PROFILES.items():
        thresholds = rules_of_profile[kind]
        table.add_row(profile, thresholds.get("warning", "-"), thresholds.get("critical", "-"))
    return table

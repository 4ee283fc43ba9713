"""The one option every command has, and how a command gets its settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.errors import CommandError
from monitor.config.loader import load_with_origins
from monitor.config.problems import ConfigError, Problem
from monitor.config.rulebook import Origins
from monitor.config.settings import Settings
from monitor.exchange.client import is_venue
from monitor.exchange.modes import mode_error
from monitor.notify.channels import channel_error

CONFIG = Path("config/perpwatch.yaml")
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="PERPWATCH_CONFIG", help="The YAML file.", show_default=True)
]


def load_settings(path: Path) -> Settings:
    """The settings of that file; raises ConfigError with every problem of it, or CommandError where it is missing."""
    return load_explained(path)[0]


def load_explained(path: Path) -> tuple[Settings, Origins]:
    """As `load_settings`, with where each key of the rules comes from."""
    require(path)
    return _load(path)


def require(path: Path) -> None:
    """Raises CommandError where the file is missing: a mistyped name must not watch nothing."""
    if not path.exists():
        raise CommandError(
            f"{path} does not exist: copy config/perpwatch.example.yaml there and put your accounts in, "
            "or name another file with --config (in a container: is the folder mounted?)"
        )


def load_to_run(path: Path) -> Settings:
    """The settings of that file for a monitor; raises ConfigError, also where nobody would hear a critical alert."""
    settings, _ = _load(path)
    if settings.unheard_accounts:
        names = ", ".join(settings.unheard_accounts)
        message = f"no channel receives the critical alerts of {names}: nobody would be woken"
        raise ConfigError((Problem(str(path), None, None, "channels", message),))
    return settings


def _load(path: Path) -> tuple[Settings, Origins]:
    return load_with_origins(
        path, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=os.environ
    )

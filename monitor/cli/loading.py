"""The one option every command has, and how a command gets its settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.errors import CommandError
from monitor.config.loader import load
from monitor.config.settings import Settings
from monitor.exchange.client import is_venue
from monitor.notify.channels import channel_error

CONFIG = Path("config/perpwatch.yaml")
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="PERPWATCH_CONFIG", help="The YAML file.", show_default=True)
]


def load_settings(path: Path) -> Settings:
    """The settings of that file; raises ConfigError with every problem of it, or CommandError where it is missing."""
    if not path.exists():
        raise CommandError(
            f"{path} does not exist: copy config/perpwatch.example.yaml there and put your accounts in, "
            "or name another file with --config (in a container: is the folder mounted?)"
        )
    return load(path, is_venue=is_venue, channel_error=channel_error, env=os.environ)

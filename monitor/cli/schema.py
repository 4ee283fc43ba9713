"""`perpwatch schema`: the JSON Schema of the YAML file, for editors."""

import json

import typer

from monitor.cli.loading import CONFIG, ConfigPath
from monitor.config.schema import json_schema


def schema(config: ConfigPath = CONFIG) -> None:  # noqa: ARG001  # every command takes it; the schema needs no file
    """Print the JSON Schema of the configuration file; editors use it through the example's first line."""
    typer.echo(json.dumps(json_schema(), indent=2))

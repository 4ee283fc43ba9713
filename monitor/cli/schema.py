"""`perpwatch schema`: the JSON Schema of the YAML file, for editors."""

import json

import typer

from monitor.config.schema import json_schema


def schema() -> None:
    """Print the JSON Schema of the configuration file; editors use it through the example's first line."""
    typer.echo(json.dumps(json_schema(), indent=2))

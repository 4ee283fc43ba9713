"""Reads configurations from text."""

from pathlib import Path

import pytest

from monitor.config.loader import load_text
from monitor.config.problems import ConfigError
from monitor.config.settings import Settings
from monitor.rules.base import ThresholdRule
from tests.unit.malformed_yaml import channel_error, is_venue, mode_error

MINIMAL = """\
accounts:
  main: {venue: binanceusdm}
"""


def read(text: str, env: dict[str, str] | None = None, folder: Path = Path()) -> Settings:
    return load_text(
        text, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=env or {}, folder=folder
    )


def problems_of(text: str, env: dict[str, str] | None = None, folder: Path = Path()) -> str:
    with pytest.raises(ConfigError) as raised:
        read(text, env, folder)
    return str(raised.value)


def thresholds(config: Settings, rule: str) -> tuple[float | None, float | None]:
    found = config.rules[rule]
    assert isinstance(found, ThresholdRule)
    return found.warning, found.critical

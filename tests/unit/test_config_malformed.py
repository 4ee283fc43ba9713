"""Every malformed file is told with its place and what was expected; nothing of a secret is in the message."""

from pathlib import Path

import pytest

from monitor.config.loader import load
from monitor.config.problems import ConfigError
from tests.unit.malformed_yaml import CASES, ENV, Case, channel_error, is_venue, mode_error, write_secret_files


def test_the_table_holds_200_files_of_25_classes() -> None:
    assert len(CASES) >= 200
    assert len({case.error_class for case in CASES}) >= 25
    assert len({case.content for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_malformed_file_is_told_with_line_and_column(case: Case, tmp_path: Path) -> None:
    write_secret_files(tmp_path)
    path = tmp_path / "perpwatch.yaml"
    path.write_bytes(case.content)
    with pytest.raises(ConfigError) as raised:
        load(path, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=ENV)
    told = str(raised.value)
    assert [(p.file, p.line, p.column) for p in raised.value.errors] == [(str(path), case.line, case.column)], told
    assert case.message in raised.value.errors[0].message
    assert told.startswith(f"{path}:{case.line}:{case.column}: ")
    assert "canary" not in told

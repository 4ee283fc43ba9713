"""The coverage matrix: printed from what the readers declare, and the README has the same."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli.app import app, run_command
from monitor.cli.venues import matrix, matrix_in_markdown
from monitor.exchange.registry import exact_venues, venue_of
from monitor.exchange.venues.figures import Exactness, Figure, VerifiedBy

README = Path(__file__).parents[2] / "README.md"


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["venues", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_matrix_has_a_row_per_figure_and_a_column_per_venue() -> None:
    header, *rows = matrix()
    assert header == ["figure", *exact_venues(), "any other"]
    assert len(rows) == len(Figure)
    assert all(len(row) == len(header) for row in rows)
    lines = told().splitlines()
    assert lines[0].split() == [word for cell in header for word in cell.split()]
    assert [line.split()[-1] for line in lines[1 : len(Figure) + 1]] == [row[-1] for row in rows]


def test_a_mark_tells_exact_with_its_source_from_estimated_and_unknown() -> None:
    header, *rows = matrix()
    marks = {VerifiedBy.RECORDED: "R", VerifiedBy.DOCUMENTS: "D", VerifiedBy.CCXT: "C"}
    for figure, row in zip(Figure, rows, strict=True):
        for name, mark in zip(header[1:-1], row[1:-1], strict=True):
            declared = venue_of(name).figures[figure]
            expected = {Exactness.ESTIMATED: "~", Exactness.UNKNOWN: "-"}.get(declared.exactness)
            assert mark == (expected or marks[declared.verified_by])


def test_the_readme_carries_the_matrix_as_it_is() -> None:
    block = README.read_text().partition("<!-- venues -->\n")[2].partition("\n<!-- /venues -->")[0]
    assert block == "\n".join(matrix_in_markdown())
    assert told("--markdown").strip() == block


@pytest.mark.parametrize("venue", [*exact_venues(), "phemex"])
def test_one_venue_is_told_figure_by_figure_with_its_sources_and_gaps(venue: str) -> None:
    text = " ".join(told(venue).split())
    for declared in venue_of(venue).figures.values():
        assert declared.source.split()[0][:12] in text
    for sentence in venue_of(venue).coverage:
        assert sentence in text


@pytest.mark.parametrize(
    ("venue", "hint"),
    [("bybti", ", did you mean bybit?"), ("Kraken-Futures", ", did you mean krakenfutures?"), ("nyse", "")],
)
def test_a_venue_that_ccxt_does_not_know_is_an_error_in_one_sentence(
    venue: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["venues", venue]) == 1
    assert capsys.readouterr().err == f"perpwatch: ccxt knows no exchange {venue}{hint}\n"

"""`perpwatch venues`: which figures are read from each venue, how exactly, and where their meaning is known from."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.errors import CommandError
from monitor.cli.loading import CONFIG, ConfigPath
from monitor.config.checks import venue_meant
from monitor.config.problems import shown_value
from monitor.exchange.modes import Mode, modes_of
from monitor.exchange.registry import exact_venues, is_venue, venue_of
from monitor.exchange.venues.figures import Exactness, Figure, Told, VerifiedBy
from monitor.exchange.venues.venue import Venue

# Any venue without a reader of its own; which one does not matter.
ANY_OTHER = "phemex"
MARKS = {VerifiedBy.RECORDED: "R", VerifiedBy.DOCUMENTS: "D", VerifiedBy.CCXT: "C", VerifiedBy.NOTHING: "?"}
LEGEND = (
    "R, D, C: the venue's own figure, its meaning known from a recorded reply, the venue's documents, ccxt's parser;",
    "~ our own estimate, marked so wherever it is shown; - unknown, and never taken for safe.",
)


def venues(
    config: ConfigPath = CONFIG,  # noqa: ARG001  # every command takes it; the venues need no file
    venue: Annotated[str | None, typer.Argument(help="One venue in full.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The matrix as the README has it.")] = False,
) -> None:
    """Which figures of each venue are exact, which are estimated, and which are unknown."""
    if venue is not None:
        if not is_venue(venue):
            raise CommandError(f"ccxt knows no exchange {shown_value(venue)}{venue_meant(venue, is_venue)}")
        _print_one(venue_of(venue))
    elif markdown:
        typer.echo("\n".join(matrix_in_markdown()))
    else:
        _print_matrix()


def matrix() -> Iterator[list[str]]:
    """A header, and a row per figure: its name, a mark per venue, and one for every other venue that ccxt knows."""
    read_by = [venue_of(name) for name in (*exact_venues(), ANY_OTHER)]
    yield ["figure", *exact_venues(), "any other"]
    for figure in Figure:
        yield [_words(figure), *(mark_of(reader.figures[figure]) for reader in read_by)]


def mark_of(told: Told) -> str:
    match told.exactness:
        case Exactness.EXACT:
            return MARKS[told.verified_by]
        case Exactness.ESTIMATED:
            return "~"
        case Exactness.UNKNOWN:
            return "-"


def matrix_in_markdown() -> Iterator[str]:
    header, *rows = matrix()
    yield _line(header)
    yield _line(["---", *[":-:"] * (len(header) - 1)])
    yield from map(_line, rows)
    yield ""
    yield " ".join(LEGEND)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(figure: Figure) -> str:
    return str(figure).replace("_", " ")


def _print_matrix() -> None:
    header, *rows = matrix()
    table = Table(header[0], *header[1:], box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 60 + 12 * len(header))  # into a pipe, whole
    console.print(table)
    for line in LEGEND:
        typer.echo(line)
    typer.echo("`perpwatch venues VENUE` tells where each figure comes from.")


def _print_one(venue: Venue) -> None:
    console = Console()
    table = Table("figure", "how", "from", "verified by", box=None, padding=(0, 2, 0, 0))
    for figure in Figure:
        told = venue.figures[figure]
        table.add_row(_words(figure), str(told.exactness), told.source, str(told.verified_by))
    console.print(f"[bold]{venue.id}[/bold]")
    console.print(table)
    for sentence in venue.coverage:
        typer.echo(f"- {sentence}")
    others = ", ".join(sorted(mode for mode in modes_of(venue.id) if mode is not Mode.LIVE))
    if others:
        typer.echo(f"- play money: mode: {others}")
    if venue.key_steps:
        typer.echo(f"- a key that may only read: {venue.key_steps}")

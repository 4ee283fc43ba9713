"""Tables of figures for the terminal."""

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_PADDING = 2


def figures_table(first: str, *others: str) -> Table:
    """Names on the left, figures on the right of their columns."""
    table = Table(box=None, padding=(0, 0, 0, _PADDING))
    table.add_column(first)
    for heading in others:
        table.add_column(heading, no_wrap=True, justify="right")
    return table


def print_figures(table: Table) -> None:
    """A narrow terminal folds the names of the first column, and into a pipe they go whole; no figure is ever cut."""
    names, *figures = ([str(cell) for cell in (column.header, *column.cells)] for column in table.columns)
    console = Console(highlight=False)
    parts = [word for name in names for word in name.split()] if console.is_terminal else names
    least = sum(_PADDING + max(map(cell_len, cells)) for cells in (parts, *figures))
    console.width = max(console.width, least)
    console.print(table)

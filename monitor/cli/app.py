"""The command `perpwatch`: joins the commands, and is the one handler of what they raise.

Exit codes: 0 done, 1 an expected error in one sentence, 2 wrong usage or an incomplete read, 3 a bug, 130 Ctrl-C.
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from monitor.cli import check, demo, explain, once, rules, run, schema, stress, test_alert, venues
from monitor.cli.errors import BUG_EXIT, EXPECTED_EXIT, INTERRUPTED_EXIT, CommandError, report_bug, say
from monitor.config.problems import ConfigError
from monitor.keys import KeyRefusedError
from monitor.status.server import StatusError
from monitor.store.errors import StoreError

EXPECTED = (CommandError, ConfigError, KeyRefusedError, StoreError, StatusError)

app = typer.Typer(
    name="perpwatch",
    help="Watches leveraged perpetual positions and alerts you in time. It reads; it never trades.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"perpwatch {version('perpwatch')}")
        raise typer.Exit


@app.callback()
def options(
    is_asked: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before any command."""


app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("once")(once.once)
app.command("explain")(explain.explain)
app.command("stress")(stress.stress)
app.command("test-alert")(test_alert.alert_test)
app.command("rules")(rules.rules)
app.command("schema")(schema.schema)
app.command("venues")(venues.venues)


def main() -> None:
    """Run the command of the process's arguments and exit with its code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """The exit code of one command; nothing escapes from here."""
    try:
        code = app(arguments, standalone_mode=False)
    except EXPECTED as error:
        say(f"perpwatch: {error}")
        return EXPECTED_EXIT
    except typer.TyperException as error:
        if error.format_message():  # empty where the help was asked for by saying nothing
            say(f"perpwatch: {error.format_message()} (try perpwatch --help)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        return EXPECTED_EXIT
    except BaseExceptionGroup as group:
        return _exit_of_group(group)
    except Exception as error:  # noqa: BLE001 - the last handler: a bug is reported with its trace
        report_bug(error)
        return BUG_EXIT
    return code if isinstance(code, int) else 0


def _exit_of_group(group: BaseExceptionGroup[BaseException]) -> int:
    """A task group wraps what its tasks raised; a group of expected errors alone is an expected error."""
    expected, rest = group.split(EXPECTED)
    if rest is not None:
        report_bug(rest)
        return BUG_EXIT
    assert expected is not None
    say(f"perpwatch: {_leaves(expected)[0]}")
    return EXPECTED_EXIT


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]

"""`perpwatch demo`: the real monitor against an embedded paper exchange, faster than life, for a person to watch."""

import asyncio
import math
import signal
import sys
from collections.abc import Callable
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monitor.cli.demo_plain import MarkedStream, PlainShow, Say, summary
from monitor.cli.demo_scene import BITCOIN, Scene, scene_of
from monitor.cli.demo_stage import Stage, rehearse, shipped_config, stage
from monitor.cli.demo_story import story_of
from monitor.cli.demo_view import LiveShow, fits
from monitor.cli.errors import INTERRUPTED_EXIT, CommandError
from monitor.clock import SystemClock
from monitor.log import configure
from monitor.paper.scenarios import load_scenario
from monitor.rules.quantities import parse_duration

DEFAULT_S = 90.0
SHORTEST_S, LONGEST_S = 10.0, 3600.0
# Beyond this the machine's own pauses become minutes of the story.
FASTEST = 400.0
# Of the duration, kept for setting the stage and taking it down.
ENDING_S = 1.5
# A busy machine may take so many times as long: rather late than with alarms that its own slowness raised.
PATIENCE = 3.0
FRAME_S = 0.2
_REAL = SystemClock()


def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Lines of text instead of the full screen.")] = False,
    duration: Annotated[
        str | None, typer.Option(help="How long it takes, such as 20s; longer on a busy machine.", show_default="90s")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=1, max=FASTEST, help="How many times as fast as life, instead of a duration.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Other rules, for the accounts of config/demo.yaml.")
    ] = None,
) -> int:
    """Watch three made-up accounts live through a crash: the real monitor on a paper exchange, nothing else is real."""
    real_s = _real_s(duration, speed)
    console = Console()
    is_plain = plain or not fits(console)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace") if isinstance(stream, TextIOWrapper) else None
    # The log would write across the picture: it is held back until that is gone.
    log = sys.stderr if is_plain else StringIO()
    configure("warning", "console", MarkedStream(log))
    say = _to_stdout()
    say("the real monitor on a paper exchange, with a phone made up for the demo; starting ...")
    show = PlainShow(say) if is_plain else LiveShow(console)
    try:
        return asyncio.run(_play(show, config or shipped_config(), real_s, speed, say))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    finally:
        if isinstance(log, StringIO):
            sys.stderr.write(log.getvalue())


def _real_s(duration: str | None, speed: float | None) -> float:
    """How long the demo may take; for ever where the speed alone is given."""
    if duration is None:
        return DEFAULT_S if speed is None else math.inf
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise CommandError(f"--duration: {error}") from None
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise CommandError(f"--duration: expected from {SHORTEST_S:.0f}s to {LONGEST_S / 3600:.0f}h")
    return seconds


def _to_stdout() -> Say:
    out = MarkedStream(sys.stdout)

    def say(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    return say


async def _play(show: LiveShow | PlainShow, config: Path, real_s: float, speed: float | None, say: Say) -> int:
    signals: set[signal.Signals] = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.add, number)
    started_at = _REAL.monotonic()
    scenario = load_scenario()
    await rehearse(scenario, config)
    if speed is None:
        left_s = max(real_s - ENDING_S - (_REAL.monotonic() - started_at), 1.0)
        speed = min(scenario.duration_s / left_s, FASTEST)
    async with stage(scenario, speed, config) as prepared:
        ends_at = started_at + real_s * PATIENCE
        last = await _perform(prepared, show, speed, lambda: bool(signals) or _REAL.monotonic() > ends_at)
    if signal.SIGINT in signals:
        say("stopped")
        return INTERRUPTED_EXIT
    for line in summary(last, _REAL.monotonic() - started_at):
        say(line)
    return 0


async def _perform(on: Stage, show: LiveShow | PlainShow, speed: float, is_over: Callable[[], bool]) -> Scene:
    """Run exchange and monitor until the scenario is played or it is over otherwise; the last scene."""
    bitcoin = on.scenario.path(BITCOIN)
    async with asyncio.TaskGroup() as tasks:
        monitor = tasks.create_task(on.daemon.run())
        await on.daemon.started.wait()
        clock = tasks.create_task(on.clock.run())
        driver = tasks.create_task(on.driver.run())
        with show:
            while not (on.driver.finished or is_over()):
                try:
                    show.frame(scene_of(on, speed, bitcoin, await story_of(on)))
                except BrokenPipeError:  # nobody reads any more
                    break
                await _REAL.sleep(FRAME_S)
        last = scene_of(on, speed, bitcoin, await story_of(on))
        on.daemon.stop.set()
        await monitor
        driver.cancel()
        clock.cancel()
    return last

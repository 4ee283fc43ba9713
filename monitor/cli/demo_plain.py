"""The demo as lines of text, for a log or a terminal that is too small: every line says DEMO."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from types import TracebackType
from typing import Self, TextIO

from monitor.cli.demo_phone import Message
from monitor.cli.demo_scene import AccountScene, Gauge, Scene
from monitor.cli.demo_stage import MARK
from monitor.cli.demo_story import Fate
from monitor.notify.text import amount, duration, percent, price

STATUS_EVERY = timedelta(minutes=3)
Say = Callable[[str], None]


class MarkedStream(StringIO):
    """A text stream each of whose lines starts with DEMO: what others write (the log) is marked as well."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._at_start = True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            self._stream.write(f"{MARK} {line}" if self._at_start else line)
            self._at_start = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


class PlainShow:
    """Says what is new in each scene; a status of every account each few minutes of the scenario."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told = 0
        self._next_status_at: datetime | None = None
        self._fates: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def frame(self, scene: Scene) -> None:
        for _, lines in sorted(self._news(scene), key=lambda news: news[0]):
            for line in lines:
                self._say(line)
        if self._next_status_at is None and any(account.read_at is None for account in scene.accounts):
            return
        if self._next_status_at is None or scene.now >= self._next_status_at:
            self._next_status_at = scene.now + STATUS_EVERY
            for account in scene.accounts:
                self._say(f"{scene.now:%H:%M:%S} {status_of(account)}")

    def _news(self, scene: Scene) -> Iterator[tuple[datetime, tuple[str, ...]]]:
        for fate in (fate for account in scene.accounts for fate in account.fates):
            if (fate.account, fate.name) not in self._fates:
                self._fates.add((fate.account, fate.name))
                yield fate.liquidated_at, (f"{fate.liquidated_at:%H:%M:%S} EXCHANGE {liquidation_of(fate)}",)
        for message in scene.messages:
            if message.number >= self._told:
                self._told = message.number + 1
                yield message.at, tuple(lines_of(message))


def lines_of(message: Message) -> Iterator[str]:
    """The text as the phone received it, less the mark that each of our own lines brings."""
    yield f"{message.at:%H:%M:%S} PHONE    {_unmarked(message.title)}"
    for line in message.body.splitlines():
        yield f"         |        {_unmarked(line)}"


def _unmarked(line: str) -> str:
    return line.removeprefix(f"{MARK} ")


def status_of(account: AccountScene) -> str:
    """One line: equity, margin ratios, and the position nearest to its liquidation."""
    parts = [f"cannot be read: {account.trouble}"] if account.trouble is not None else []
    parts += [f"equity {amount(equity)} {currency}" for currency, equity in account.equities.items()]
    if account.pools:
        ratios = (f"{percent(pool.ratio.value, 0)} {pool.name}" for pool in account.pools)
        parts.append(f"margin ratio {', '.join(ratios)}")
    known = [(line.distance.value, line) for line in account.positions if line.distance.value is not None]
    nearest = min(known, default=None, key=lambda pair: pair[0])
    if nearest is not None:
        parts.append(f"{nearest[1].name} {percent(nearest[0], 1)} from liquidation{_severity(nearest[1].distance)}")
    return f"status   {account.name:<7} {', '.join(parts)}"


def _severity(gauge: Gauge) -> str:
    return "" if gauge.severity is None else f" ({gauge.severity})"


def liquidation_of(fate: Fate) -> str:
    what = "liquidated" if fate.whole else "liquidated part of"
    return f"{what} {fate.account}'s {fate.name} at {price(fate.price)}"


def summary(scene: Scene, real_s: float) -> Iterator[str]:
    """The end: what was told, what happened, and how long between the two."""
    lasted = duration(len(scene.bitcoin))
    yield f"That was {lasted} of {scene.title} in {real_s:.0f} s; the phone received {len(scene.messages)} messages."
    fates = sorted((fate for account in scene.accounts for fate in account.fates), key=lambda fate: fate.liquidated_at)
    if not fates:
        yield "The paper exchange has liquidated nothing so far."
    for fate in fates:
        yield f"{fate.liquidated_at:%H:%M:%S} the paper exchange {liquidation_of(fate)}"
        yield f"         first warning   {_before(fate.warned_at, fate)}"
        yield f"         first critical  {_before(fate.critical_at, fate)}"
    if scene.progress >= 1:
        yield "Every other position came through."
    yield "Nothing of this was real, and nothing left this machine."
    yield "Your turn: copy config/perpwatch.example.yaml to config/perpwatch.yaml and run `perpwatch check`."


def _before(at: datetime | None, fate: Fate) -> str:
    return "none" if at is None else f"{at:%H:%M:%S}, {lead(at, fate)} before"


def lead(at: datetime, fate: Fate) -> str:
    """How long before the liquidation: minutes and seconds, since of a lead every second counts."""
    minutes, seconds = divmod(round((fate.liquidated_at - at).total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

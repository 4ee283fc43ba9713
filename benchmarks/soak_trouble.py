"""What goes wrong during a soak, drawn from dice: at the venues, at the channels, in the YAML; and prices that move.

Each of these runs until it is cancelled. What lasts ends with its window, so that a calm moment is truly calm.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from benchmarks import sinks
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.daemon_kit import CALM, CRITICAL_MARK, House, Sink
from tests.services import Answer, Service
from tests.simulation.plan import VENUE_FAULTS

# Seconds on average between the end of one trouble and the next, of one venue, of all venues at once, of one channel.
VENUE_CALM_S, STORM_CALM_S, CHANNEL_CALM_S, EDIT_EVERY_S = 40.0, 240.0, 45.0, 20.0
LASTS_S = (2.0, 5.0, 15.0, 40.0)
STORM_LASTS_S = (5.0, 20.0, 90.0)
CHANNEL_LASTS_S = (5.0, 15.0, 60.0)
# The largest step of the price in a second, and how far it may go: all alerts over, all critical, nothing liquidated.
STEP = 250.0
HIGHEST, LOWEST = CALM, CRITICAL_MARK
# A channel that refuses our credentials is left alone for ten minutes: one of many such would never be tried.
SICKNESSES = [sickness for sickness in sinks.SICKNESSES if sickness.name not in ("none", "401", "404")]
VENUE_KINDS = {**VENUE_FAULTS, FaultKind.DROPPED: 4}
DISTANCES = ("{warning: 5%, critical: 3%}", "{warning: 6%, critical: 3%}", "{warning: 5%, critical: 2.5%}")
BAD_EDITS = ("poll_interval: soon\n", "rules: [\n", "nonsense: true\n", "accounts: {}\n")


async def moving(house: House, dice: random.Random) -> None:
    """The mark wanders to one price after the other, a step a second."""
    price = HIGHEST
    while True:
        goal = dice.uniform(LOWEST, HIGHEST)
        while abs(goal - price) > STEP:
            price += STEP if goal > price else -STEP
            house.mark(price + dice.uniform(-STEP, STEP) / 10)
            await asyncio.sleep(1.0)
        await asyncio.sleep(dice.uniform(0.0, 10.0))


async def at_venues(servers: Sequence[PaperServer], dice: random.Random, calm_s: float, lasts: Sequence[float]) -> None:
    """One fault after the other, each at all of these servers."""
    kinds, weights = list(VENUE_KINDS), list(VENUE_KINDS.values())
    while True:
        await asyncio.sleep(dice.expovariate(1 / calm_s))
        fault = _fault(dice.choices(kinds, weights)[0], dice)
        for server in servers:
            server.misbehave(fault)
        try:
            await asyncio.sleep(dice.choice(lasts) * dice.uniform(0.5, 1.5))
        finally:
            for server in servers:
                server.clear_faults()


def _fault(kind: FaultKind, dice: random.Random) -> Fault:
    return Fault(
        kind=kind,
        seconds=dice.uniform(0.2, 8.0) if kind is FaultKind.LATENCY else dice.choice((-1, 1)) * dice.uniform(2, 600),
        status=dice.choice((500, 502, 503, 504)),
        retry_after_s=dice.choice((5, 20)) if kind is FaultKind.BANNED else dice.choice((None, 1, 5)),
        token=dice.choice(("NaN", "Infinity", "-Infinity")),
        quoted=dice.random() < 0.5,
    )


class Desk:
    """One channel's service. What it takes stands in the sink under its name, whatever it answers."""

    def __init__(self, name: str, sink: Sink, service: Service) -> None:
        self.name = name
        self.url = service.url.replace("http", "json", 1)
        self._sink = sink
        self._service = service
        service.accepted = self._taken(service.accepted)

    def _taken(self, answer: Answer) -> Answer:
        async def take(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            self._sink.messages.append((self.name, f"{body['title']}\n{body['message']}"))
            return await answer(request)

        return take

    async def suffer(self, dice: random.Random) -> None:
        """One sickness after the other."""
        while True:
            await asyncio.sleep(dice.expovariate(1 / CHANNEL_CALM_S))
            sickness = dice.choice(SICKNESSES)
            answer = sickness.answer
            self._service.always = self._taken(answer) if answer is not None and sickness.takes else answer
            self._service.ailing = sickness.ailment
            try:
                await asyncio.sleep(dice.choice(CHANNEL_LASTS_S) * dice.uniform(0.5, 1.5))
            finally:
                self._service.always = self._service.ailing = None


async def editing(house: House, dice: random.Random, guest: PaperServer, spare: str) -> None:
    """Rules, one account and one channel come and go; a bad edit stands until the next one."""

    def toggle(entries: dict[str, str], name: str, add: Callable[[], None]) -> None:
        if entries.pop(name, None) is None:
            add()

    def rules() -> None:
        house.yaml.rules["liquidation_distance"] = dice.choice(DISTANCES)

    edits: tuple[Callable[[], None], ...] = (
        rules,
        lambda: toggle(house.yaml.accounts, "guest", lambda: house.yaml.account("guest", server=guest)),
        lambda: toggle(house.yaml.channels, "spare", lambda: house.yaml.channels.update(spare=f"{{url: '{spare}'}}")),
    )
    while True:
        await asyncio.sleep(dice.expovariate(1 / EDIT_EVERY_S))
        if dice.random() < 0.2:
            house.path.write_text(dice.choice(BAD_EDITS), encoding="utf-8")
        else:
            dice.choice(edits)()
            house.write()


@asynccontextmanager
async def running(*troubles: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """All of them side by side until the block ends; what one of them raises ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(trouble) for trouble in troubles]
        yield
        for task in tasks:
            task.cancel()

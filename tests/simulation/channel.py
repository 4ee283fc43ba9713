"""A channel that keeps what arrives, and fails as planned: as the real services answer, and as networks break."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from monitor.clock import Clock
from monitor.notify.budget import ANY_SERVICE, Budget
from monitor.notify.channels import Channel
from monitor.notify.message import Rendered
from monitor.notify.results import SendKind, SendResult, of_answer
from tests.simulation.plan import Outage, Plan, Window

LIMIT_CHARS = 3_000
SEND_DEADLINE_S = 15.0
LONGER_THAN_THE_DEADLINE_S = 60.0


class Hears(Protocol):
    """Who watches the messages."""

    def on_try(self, rendered: Rendered) -> None:
        """A message leaves."""

    def on_arrival(self, name: str, rendered: Rendered) -> None:
        """It arrives."""

    def on_result(self, rendered: Rendered, result: SendResult) -> None:
        """What the sender is told of it."""


class PaperChannel:
    """Stands for `Channel`."""

    def __init__(self, name: str, clock: Clock, plan: Plan, time: Callable[[], float], hears: Hears) -> None:
        self.name = name
        self.limit = LIMIT_CHARS
        self.budget = Budget(ANY_SERVICE, clock)
        self._clock, self._plan, self._time = clock, plan, time
        self._hears = hears
        self._dice = random.Random(f"{plan.seed}:{name}:{time()}")

    async def send(self, rendered: Rendered) -> SendResult:
        self._hears.on_try(rendered)
        result = await self._send(rendered)
        self._hears.on_result(rendered, result)
        return result

    async def _send(self, rendered: Rendered) -> SendResult:
        await self._clock.sleep(self._dice.uniform(0.02, 0.5))
        outage = self._plan.outages.at(self._time(), self.name)
        if outage is None or outage.kind is Outage.LOST:
            self._hears.on_arrival(self.name, rendered)
        await self._clock.sleep(self._dice.uniform(0.02, 1.0))
        return of_answer(200, {}, b"", self._clock.now()) if outage is None else await self._failed(outage)

    async def _failed(self, outage: Window) -> SendResult:
        now = self._clock.now()
        match outage.kind:
            case Outage.HANG | Outage.LOST:
                try:
                    async with self._clock.deadline(SEND_DEADLINE_S):
                        await self._clock.sleep(LONGER_THAN_THE_DEADLINE_S)
                except TimeoutError:
                    pass
                return SendResult(kind=SendKind.AMBIGUOUS, detail="no end within 15 s")
            case Outage.RATE_LIMITED:
                return of_answer(429, {"retry-after": str(outage.amount)}, b"", now)
            case Outage.SERVER_ERROR:
                return of_answer(502, {}, b"<html>", now)
            case Outage.UNAUTHORIZED:
                return of_answer(401, {}, b"{}", now)
            case Outage.REJECTED:
                return of_answer(400, {}, b"{}", now)
        return SendResult(kind=SendKind.TRANSIENT, detail="no connection")

    def is_for(self, _url: str) -> bool:
        return True

    def close(self) -> None:
        """There is no thread to end."""


def open_paper_channels(
    make: Callable[[str, Clock], PaperChannel],
) -> Callable[..., dict[str, Channel]]:
    """Stands for `open_channels`: a channel whose name stays goes on as it is."""

    def open_channels(
        urls: Mapping[str, str], clock: Clock, *, kept: Mapping[str, Any] | None = None
    ) -> dict[str, Channel]:
        return {name: cast(Channel, (kept or {}).get(name) or make(name, clock)) for name in urls}

    return open_channels

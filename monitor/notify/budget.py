"""How many messages a service takes from us, so that we stay below its limits instead of running into them.

asyncio-throttle paces what is uniform and bound to real time: all requests with one bot token (see channels.py). The
limits per chat and webhook stand here: they keep room free for critical messages, which asyncio-throttle's single
count cannot, and run on the house's Clock, so that a demo at sixty-fold speed paces as real life does; it reads
`time.monotonic` itself and polls.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.clock import Clock

RESERVED_FOR_CRITICAL = 5


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `messages` within any `period_s`; `reserved` of them are for critical messages alone."""

    messages: int
    period_s: float
    reserved: int = 0


TELEGRAM_CHAT = (Limit(1, 1.0),)
TELEGRAM_GROUP = (Limit(1, 1.0), Limit(18, 60.0, RESERVED_FOR_CRITICAL))
DISCORD_WEBHOOK = (Limit(25, 60.0, RESERVED_FOR_CRITICAL),)
# A house rule where the service's own limit is not known to us.
ANY_SERVICE = (Limit(20, 60.0, RESERVED_FOR_CRITICAL),)


class Budget:
    """Counts one target's messages against its limits."""

    def __init__(self, limits: Sequence[Limit], clock: Clock) -> None:
        self._clock = clock
        self._limits = limits
        self._spent: deque[float] = deque(maxlen=max(limit.messages for limit in limits))

    def wait_s(self, *, critical: bool) -> float:
        """How long until a message may go; 0 for now."""
        now = self._clock.monotonic()
        return max(self._wait_of_s(limit, critical, now) for limit in self._limits)

    def spend(self) -> None:
        """Count a message that is sent now."""
        self._spent.append(self._clock.monotonic())

    def _wait_of_s(self, limit: Limit, critical: bool, now: float) -> float:
        allowed = limit.messages if critical else limit.messages - limit.reserved
        if len(self._spent) < allowed:
            return 0.0
        return max(0.0, self._spent[-allowed] + limit.period_s - now)

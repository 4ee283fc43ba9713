"""How soon alerts arrive: beside a service that hangs, fifty at once, and after a rate limit.

`python -m benchmarks.delivery` prints tables and exits 1 where a bound is exceeded. The production delivery with its
state on disk, real time, Apprise's own Telegram and Discord plugins, against doubles that answer as the services do.

- Hanging: fifty critical alerts at once to four targets, with a fifth that answers and then with one that hangs and
  has been sent a message already. How much later the slowest of the four gets its first message than without.
- Fifty at once: the messages each target gets within ten seconds of its first; in one transaction, and one by one.
- 429: how long after the time the service named its next message comes, and whether every alert was told.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rig import Bound, measured_on, print_table, verdict
from monitor.clock import SystemClock
from monitor.domain.notification import DeliveryState, Notification
from monitor.log import configure
from monitor.notify.channels import Channel
from monitor.store.store import Store
from tests.outbox import a_row, delivering, enqueue, finished, key, now_of, until
from tests.services import (
    DISCORD_URL,
    TELEGRAM_URL,
    Answer,
    Service,
    discord,
    discord_says,
    hangs,
    telegram,
    telegram_says,
)

ALERTS = 50
ROUNDS = 5
WINDOW_S = 10.0
# Between alerts that come one by one.
APART_S = 0.02
TELEGRAM_WAITS_S = (2.0, 7.0)
DISCORD_WAITS_S = (2.5, 6.5)
HEALTHY = ("telegram-1", "telegram-2", "discord-1", "discord-2")
SICK = "telegram-sick"

Services = dict[str, Service]


@dataclass(slots=True)
class Burst:
    """What the healthy targets got: seconds from the alerts to each one's first message, and messages in the window."""

    first_s: list[float]
    messages: list[int]
    named: list[int]


@asynccontextmanager
async def five_targets(sick_answer: Answer | None) -> AsyncIterator[tuple[Services, Store]]:
    """A delivery to four healthy targets and one that answers so; None is healthy as well."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(telegram() if name.startswith("telegram") else discord())
            for name in (*HEALTHY, SICK)
        }
        services[SICK].always = sick_answer
        channels = {name: Channel(name, _url_of(name), clock, base_url=double.url) for name, double in services.items()}
        folder = Path(stack.enter_context(TemporaryDirectory()))
        store, _ = await stack.enter_async_context(delivering(clock, channels, path=folder / "perpwatch.db"))
        yield services, store


async def burst(sick_answer: Answer | None, apart_s: float, watch_s: float) -> Burst:
    """Fifty alerts to five targets, while the fifth is busy with an earlier one."""
    loop = asyncio.get_running_loop()
    async with five_targets(sick_answer) as (services, store):
        await enqueue(store, *_alerts(("earlier",), (SICK,)))
        await until(lambda: services[SICK].messages)
        started_s = loop.time()
        names = tuple(f"fund-{number:02}" for number in range(ALERTS))
        for group in [names] if apart_s == 0 else [(name,) for name in names]:
            await enqueue(store, *_alerts(group, (*HEALTHY, SICK)))
            await asyncio.sleep(apart_s)
        healthy = [services[name] for name in HEALTHY]
        await until(lambda: all(service.messages for service in healthy), within_s=60)
        await asyncio.sleep(watch_s)
        result = Burst([], [], [])
        for service in healthy:
            within = sum(at - service.times[0] <= WINDOW_S for at in service.times)
            told = " ".join(service.texts[:within])
            result.first_s.append(service.times[0] - started_s)
            result.messages.append(within)
            result.named.append(sum(name in told for name in names))
    return result


async def overshoot(wait_s: float, *, on_discord: bool) -> tuple[float, bool]:
    """(seconds past the named wait until the next message; whether all alerts were told, with one attempt each)."""
    clock = SystemClock()
    async with discord() if on_discord else telegram() as service:
        if on_discord:
            service.answers.append(discord_says(429, {"retry_after": wait_s}, Retry_After=str(wait_s)))
        else:
            said = f"Too Many Requests: retry after {wait_s:.0f}"
            service.answers.append(telegram_says(429, said, retry_after=round(wait_s)))
        channel = Channel("phone", DISCORD_URL if on_discord else TELEGRAM_URL, clock, base_url=service.url)
        async with delivering(clock, {"phone": channel}) as (store, _):
            await enqueue(store, *_alerts(("first", "second", "third"), ("phone",)))
            await until(lambda: service.messages)
            await enqueue(store, *_alerts(("meanwhile",), ("phone",)))
            await until(lambda: not store.undelivered, within_s=60)
            rows = await finished(store)
        told = " ".join(service.texts[1:])
        complete = all(name in told for name in ("first", "second", "third", "meanwhile"))
        sent = {row.state for row in rows.values()} == {DeliveryState.SENT}
    return service.times[1] - service.times[0] - wait_s, complete and sent


def _url_of(name: str) -> str:
    return TELEGRAM_URL if name.startswith("telegram") else DISCORD_URL


def _alerts(names: Sequence[str], targets: Sequence[str]) -> list[Notification]:
    clock = SystemClock()
    return [now_of(a_row(key=key(name), target=target), clock) for name in names for target in targets]


async def measure() -> int:
    well = [await burst(None, 0.0, 0.0) for _ in range(ROUNDS)]
    sick = [await burst(hangs, 0.0, 0.0) for _ in range(ROUNDS)]
    at_once, one_by_one = [await burst(None, apart_s, WINDOW_S) for apart_s in (0.0, APART_S)]
    waits = [(wait_s, False) for wait_s in TELEGRAM_WAITS_S] + [(wait_s, True) for wait_s in DISCORD_WAITS_S]
    overshoots = [await overshoot(wait_s, on_discord=on_discord) for wait_s, on_discord in waits]

    first_well = [at for one in well for at in one.first_s]
    first_sick = [at for one in sick for at in one.first_s]
    rows = [
        (what, f"{statistics.median(first) * 1000:.0f} ms", f"{max(first) * 1000:.0f} ms")
        for what, first in (("all five answer", first_well), ("the fifth hangs", first_sick))
    ]
    print_table((f"first of {ALERTS} alerts at the other four", "median", "largest"), rows)
    print()
    rows = [
        (what, str(max(one.messages)), f"{min(one.named)} of {ALERTS}")
        for what, one in (("in one transaction", at_once), (f"every {APART_S * 1000:.0f} ms", one_by_one))
    ]
    print_table((f"{ALERTS} alerts", f"messages per target in {WINDOW_S:.0f} s", "alerts named in them"), rows)
    print()
    rows = [
        (f"{'Discord' if on_discord else 'Telegram'}, {wait_s:g} s", f"{late_s:+.2f} s", "yes" if complete else "NO")
        for (wait_s, on_discord), (late_s, complete) in zip(waits, overshoots, strict=True)
    ]
    print_table(("429", "next message after that", "every alert told"), rows)
    late = [late_s for late_s, _ in overshoots]
    return verdict(
        [
            Bound(
                what="delay by a service that hangs",
                value=max(first_sick) - statistics.median(first_well),
                at_most=1.0,
                unit="s",
            ),
            Bound(
                what=f"messages per target within {WINDOW_S:.0f} s",
                value=max(at_once.messages + one_by_one.messages),
                at_most=2,
                unit="",
            ),
            Bound(what="429 overrun", value=max(late), at_most=1.0, unit="s"),
            Bound(what="429 not waited out", value=max(0.0, -min(late)), at_most=0.0, unit="s"),
            Bound(what="alerts lost", value=sum(not complete for _, complete in overshoots), at_most=0, unit=""),
        ]
    )


def main() -> int:
    configure("error", "json")
    print(f"{measured_on()}\n")
    return asyncio.run(measure())


if __name__ == "__main__":
    sys.exit(main())

"""What the demo puts together: the paper exchange, the phone, and between them the monitor as it runs in life.

Only the clock is not life's: every part runs on one that is faster.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor.cli.demo_clock import PatientClock
from monitor.cli.demo_phone import Phone
from monitor.cli.errors import CommandError
from monitor.cli.once import read_all
from monitor.config.loader import load
from monitor.config.settings import Settings
from monitor.daemon import Daemon
from monitor.exchange.client import is_venue
from monitor.exchange.modes import mode_error
from monitor.notify.channels import channel_error
from monitor.paper.engine import Engine
from monitor.paper.scenarios import Driver, Scenario
from monitor.paper.server import PaperServer
from monitor.store.store import Store

MARK = "DEMO"
_HERE = Path(__file__).resolve()
# In an installed package, and in a checkout.
_SHIPPED = (_HERE.parents[1] / "config" / "demo.yaml", _HERE.parents[2] / "config" / "demo.yaml")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of one performance, on one clock."""

    scenario: Scenario
    clock: PatientClock
    engine: Engine
    phone: Phone
    settings: Settings
    driver: Driver
    daemon: Daemon


def shipped_config() -> Path:
    return next((path for path in _SHIPPED if path.is_file()), _SHIPPED[-1])


@asynccontextmanager
async def stage(scenario: Scenario, speed: float, config: Path) -> AsyncIterator[Stage]:
    """Set up and ready to run; the clock stands until it is run. Raises ConfigError, and CommandError for a file that
    names anything real."""
    # A proxy that the environment names for the world outside must see nothing of this.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    clock, engine = PatientClock(scenario.start, speed), scenario.build()
    async with PaperServer(engine, clock) as exchange, Phone(clock) as phone:
        settings = _settings(config, scenario, exchange.base_url, phone.url)
        daemon = Daemon(settings, clock, database=None, prefix=MARK)
        yield Stage(scenario, clock, engine, phone, settings, Driver(engine, scenario, clock), daemon)


async def rehearse(scenario: Scenario, config: Path) -> None:
    """Do once, unseen and at life's speed, what is slow the first time: at a hundredfold speed it would cost minutes
    of the story."""
    async with stage(scenario, 1.0, config) as prepared:
        running = asyncio.create_task(prepared.clock.run())
        try:
            await read_all(prepared.settings, prepared.clock)
            store = await Store.open(None, prepared.clock)
            await store.close()
        finally:
            running.cancel()


def _settings(config: Path, scenario: Scenario, exchange_url: str, phone_url: str) -> Settings:
    """The file as the monitor loads any; of the environment it sees nothing but the demo's own names."""
    env = {"DEMO_EXCHANGE": exchange_url, "DEMO_PHONE": phone_url, **_credentials(scenario)}
    settings = load(config, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env=env)
    _refuse_what_is_real(settings, config, scenario, exchange_url, phone_url)
    return settings


def _credentials(scenario: Scenario) -> Mapping[str, str]:
    return {
        f"DEMO_{account.upper()}_{part}": value
        for account in scenario.accounts
        for part, value in zip(("KEY", "SECRET"), scenario.credentials(account), strict=True)
    }


def _refuse_what_is_real(
    settings: Settings, config: Path, scenario: Scenario, exchange_url: str, phone_url: str
) -> None:
    real = [
        f"account {name}"
        for name, account in settings.accounts.items()
        if account.base_url != exchange_url or account.proxy is not None or name not in scenario.accounts
    ]
    real += [f"channel {name}" for name, it in settings.channels.items() if it.url.get_secret_value() != phone_url]
    real += ["heartbeat_url"] if settings.heartbeat_url is not None else []
    if real:
        raise CommandError(
            f"the demo reads its own paper exchange and writes to its own phone, nothing else, but {config} names "
            f"{', '.join(real)}: take the accounts and channels of config/demo.yaml as they are, and change the rules"
        )

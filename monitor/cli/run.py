"""`perpwatch run`: the daemon."""

import asyncio

from monitor.cli.errors import INTERRUPTED_EXIT
from monitor.cli.loading import CONFIG, ConfigPath, load_to_run, require
from monitor.clock import SystemClock
from monitor.config.settings import Settings
from monitor.config.watch import fingerprint
from monitor.daemon import Daemon
from monitor.log import configure


def run(config: ConfigPath = CONFIG) -> int:
    """Watch the accounts of the configuration until told to stop (SIGTERM or Ctrl-C)."""
    require(config)
    loaded = fingerprint(config)
    settings = load_to_run(config)
    configure(settings.log.level, settings.log.format)
    return asyncio.run(_run(settings, config, loaded))


async def _run(settings: Settings, config: ConfigPath, loaded: str | None) -> int:
    edited = (config, lambda: load_to_run(config))
    daemon = Daemon(settings, SystemClock(), database=settings.database, config=edited, loaded=loaded, serve=True)
    daemon.stop_on_signals()
    await daemon.run()
    return INTERRUPTED_EXIT if daemon.interrupted else 0

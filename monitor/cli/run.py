"""`perpwatch run`: the daemon."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from monitor.cli.errors import INTERRUPTED_EXIT
from monitor.cli.loading import CONFIG, ConfigPath, load_to_run, require
from monitor.clock import SystemClock
from monitor.config.settings import Settings
from monitor.config.watch import fingerprint
from monitor.daemon import Daemon
from monitor.log import configure

T = TypeVar("T")


def run(config: ConfigPath = CONFIG) -> int:
    """Watch the accounts of the configuration until told to stop (SIGTERM or Ctrl-C)."""
    require(config)
    loaded = fingerprint(config)
    settings = load_to_run(config)
    configure(settings.log.level, settings.log.format)
    set_apart_what_stays()
    return run_loop(_run(settings, config, loaded))


def set_apart_what_stays() -> None:
    """Keep the garbage collector from what the imports made, 270,000 objects that live as long as the process.

    To look through them holds the event loop for 0.1 s and more; and because it does, Python waits with it until a
    quarter as much garbage has come together.
    """
    gc.collect()
    with suppress(AttributeError):  # PyPy's collector needs no such help
        gc.freeze()


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on uvloop's event loop where it is installed: a fifth less CPU per read."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no build for this platform (Windows, PyPy)
        return None

    class Loop(uvloop.Loop):
        """Before 0.23 uvloop closes the descriptor of a connection given up while it is made, and its socket object
        does so again later: by then the number may be another connection's, or the database's. ccxt wants 0.22.1."""

        async def create_connection(self, *args: Any, sock: socket.socket | None = None, **options: Any) -> Any:
            try:
                return await super().create_connection(*args, sock=sock, **options)
            except BaseException:
                if sock is not None:
                    sock.detach()
                raise

    return Loop


async def _run(settings: Settings, config: ConfigPath, loaded: str | None) -> int:
    edited = (config, lambda: load_to_run(config))
    daemon = Daemon(settings, SystemClock(), database=settings.database, config=edited, loaded=loaded, serve=True)
    daemon.stop_on_signals()
    await daemon.run()
    return INTERRUPTED_EXIT if daemon.interrupted else 0

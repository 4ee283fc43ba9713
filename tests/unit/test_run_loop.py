"""The event loop of `perpwatch run`, and what would hold it."""

import asyncio
import gc
import os
import socket

import pytest

from monitor.cli.run import run_loop, set_apart_what_stays


def test_a_connection_given_up_while_it_is_made_is_closed_once() -> None:
    """Closed a second time, its number by then is that of another connection, or of the database."""

    async def given_up() -> tuple[socket.socket, int]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        connection = socket.socket()
        connection.setblocking(False)
        await loop.sock_connect(connection, server.sockets[0].getsockname())
        number = connection.fileno()
        making = asyncio.ensure_future(loop.create_connection(asyncio.Protocol, sock=connection))
        await asyncio.sleep(0)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        server.close()
        return connection, number

    connection, number = run_loop(given_up())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    assert connection.fileno() == -1


def test_what_stays_is_not_looked_through_for_garbage() -> None:
    stays = [object()]
    try:
        set_apart_what_stays()
        assert not any(found is stays for found in gc.get_objects())
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()

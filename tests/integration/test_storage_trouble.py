"""A disk against a running monitor: alerts go out from memory, health is red, the owner is told, and it recovers."""

import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitor.store import database, files, store
from monitor.store.schema import HEAD
from tests.daemon_kit import CALM, CRITICAL_MARK, House, a_house, health_page, until_red
from tests.unit.store_kit import execute, overwrite_a_page, shut_by_another

DISK_BYTES = 2 * 1024 * 1024


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks keep real time, and the monitors here do not."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(store, "REOPEN_EVERY_S", 0.2)


@pytest.fixture
def port(unused_tcp_port_factory: Any) -> int:
    return int(unused_tcp_port_factory())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)) != 0:
        pytest.skip("a disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _mount(*arguments: str) -> int:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 1


@contextmanager
def _full(house: House) -> Iterator[None]:
    """Not a byte is left."""
    filler = house.database.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    yield
    filler.unlink()


@contextmanager
def _full_with_temporary_files(house: House) -> Iterator[None]:
    """There is no room for a copy either."""
    with pytest.MonkeyPatch.context() as patched, _full(house):
        patched.setattr(tempfile, "tempdir", str(house.database.parent))
        yield


@contextmanager
def _as_large_as_it_may_be(house: House) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = house.database.with_name(f"{house.database.name}-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _locked(house: House) -> Iterator[None]:
    other = sqlite3.connect(house.database, isolation_level=None, timeout=5)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@contextmanager
def _shut(house: House) -> Iterator[None]:
    with closing(shut_by_another(house.database)):
        yield


@contextmanager
def _read_only(house: House) -> Iterator[None]:
    assert _mount("-o", "remount,ro", str(house.database.parent)) == 0
    yield
    assert _mount("-o", "remount,rw", str(house.database.parent)) == 0


@contextmanager
def _of_a_newer_version(house: House) -> Iterator[None]:
    execute(house.database, "UPDATE alembic_version SET version_num = '9999'")
    yield
    execute(house.database, f"UPDATE alembic_version SET version_num = '{HEAD}'")


@dataclass(frozen=True)
class Trouble:
    """`why` is what the owner is told of it, `knows` whether the state can still be read at a start."""

    begins: Callable[[House], AbstractContextManager[None]]
    why: str
    on_a_disk: bool = False
    knows: bool = True


WHILE_RUNNING = {
    "a full disk": Trouble(_full, "database or disk is full", on_a_disk=True),
    "a file that may not grow": Trouble(_as_large_as_it_may_be, "disk I/O error"),
    "a file locked by another program": Trouble(_locked, "database is locked"),
}
AT_THE_START = {
    "a full disk": Trouble(_full, "full|I/O error", on_a_disk=True),
    "a full disk, with temporary files": Trouble(
        _full_with_temporary_files, "full|I/O error", on_a_disk=True, knows=files.MEMORY.is_dir()
    ),
    "a read-only disk": Trouble(_read_only, "Read-only file system", on_a_disk=True),
    "a file locked by another program": Trouble(_shut, "database is locked"),
    "a newer schema": Trouble(_of_a_newer_version, "was written by a newer perpwatch", knows=False),
}


@asynccontextmanager
async def _a_house(trouble: Trouble, port: int, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    async with a_house(request.getfixturevalue("tmp_path")) as house:
        house.disk = request.getfixturevalue("disk") if trouble.on_a_disk else None
        house.yaml.more = f"health: {{port: {port}}}\n"
        yield house


async def _told_of(house: House, port: int, trouble: Trouble) -> None:
    """The disk is in trouble, the owner knows, and alerts go on."""
    await until_red(house, port, {"database"})
    assert (await health_page(port, "/livez"))[0] == 200, "a restart mends no disk"
    await house.until(lambda: house.sink.about("the state file is not written"), "the owner to be told")
    assert house.sink.about(trouble.why), house.sink.texts()


async def _mended(house: House, port: int) -> None:
    await house.until(lambda: house.sink.about("the state file is written again"), "the recovery to be told")
    await until_red(house, port, set())
    assert len(house.sink.about("the state file is not written")) == 1


def _outbox(house: House) -> list[tuple[object, ...]]:
    query = "SELECT reason, state FROM outbox WHERE rule = 'liquidation_distance' ORDER BY id"
    return execute(house.database, query)


@pytest.mark.parametrize("name", WHILE_RUNNING)
async def test_alerts_go_out_whatever_becomes_of_the_disk(name: str, port: int, request: pytest.FixtureRequest) -> None:
    trouble = WHILE_RUNNING[name]
    async with _a_house(trouble, port, request) as house:
        async with house.running(serve=True):
            await house.reads(1)
            with trouble.begins(house):
                house.mark(CRITICAL_MARK)
                await house.until(lambda: house.sink.about("CRITICAL main: BTC"), "the alert")
                await _told_of(house, port, trouble)
                house.mark(CALM)
                await house.until(lambda: house.sink.about("resolved main: BTC"), "its end")
            await _mended(house, port)
        assert len(house.sink.about("CRITICAL main: BTC")) == len(house.sink.about("resolved main: BTC")) == 1
        assert not house.sink.about("possible repeat")
        assert _outbox(house) == [("first", "sent"), ("resolved", "sent")]


@pytest.mark.parametrize("name", AT_THE_START)
async def test_a_monitor_starts_on_a_state_that_it_cannot_open_and_goes_on_with_it_once_it_can(
    name: str, port: int, request: pytest.FixtureRequest
) -> None:
    trouble = AT_THE_START[name]
    async with _a_house(trouble, port, request) as house:
        async with house.running():
            house.mark(CRITICAL_MARK)
            await house.until(lambda: house.sink.about("CRITICAL main: BTC"), "the alert")
        with ExitStack() as stack:
            stack.enter_context(trouble.begins(house))
            async with house.running(serve=True):
                await _told_of(house, port, trouble)
                told = house.sink.about("CRITICAL main: BTC")
                assert len(told) == (1 if trouble.knows else 2), "who cannot read what was told says it again"
                house.mark(CALM)
                await house.until(lambda: house.sink.about("resolved main: BTC"), "its end")
                stack.close()
                await _mended(house, port)
        assert len(house.sink.about("resolved main: BTC")) == 1
        if trouble.knows:
            assert _outbox(house) == [("first", "sent"), ("resolved", "sent")]
        else:
            assert house.sink.about(
                r"is not what could be read of it at the start; it was set aside as state\.db\.damaged-"
            )


async def test_a_damaged_page_costs_the_state_and_no_alert(tmp_path: Path, port: int) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {port}}}\n"
        async with house.running():
            await house.reads(1)
        overwrite_a_page(house.database)
        async with house.running(serve=True):
            house.mark(CRITICAL_MARK)
            await house.until(lambda: house.sink.about("CRITICAL main: BTC"), "the alert")
            await house.until(lambda: house.sink.about("was damaged; it was set aside"), "the owner to be told")
            await until_red(house, port, set())
        assert _outbox(house) == [("first", "sent")]

"""Real saves of real files: however a file is replaced, the watcher tells once per changed content, within 2 s."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest

from monitor.clock import SystemClock
from monitor.config import watch
from monitor.config.watch import fingerprint, saves

NOTICED_WITHIN_S = 2.0


class Saves:
    """Counts what the watcher yields."""

    def __init__(self) -> None:
        self.count = 0
        self._arrived = asyncio.Event()

    def add(self) -> None:
        self.count += 1
        self._arrived.set()

    async def next(self) -> None:
        async with asyncio.timeout(NOTICED_WITHIN_S):
            await self._arrived.wait()
        self._arrived.clear()


@asynccontextmanager
async def watching(path: Path, seen: str | None = None) -> AsyncIterator[Saves]:
    """The watcher on `path`, from the content it has now on."""
    noticed, stop = Saves(), asyncio.Event()

    async def collect() -> None:
        async with aclosing(saves(path, SystemClock(), stop, seen or fingerprint(path))) as events:
            async for _ in events:
                noticed.add()

    task = asyncio.create_task(collect())
    await asyncio.sleep(0.05)
    try:
        yield noticed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "perpwatch.yaml"
    file.write_text("one\n")
    return file


def write(path: Path, text: str) -> None:
    path.write_text(text)


def delete(path: Path) -> None:
    path.unlink()


def write_in_place(path: Path) -> None:
    write(path, "two\n")


def rename_over(path: Path) -> None:
    """As vim and most editors save."""
    new = path.with_suffix(".tmp")
    new.write_text("two\n")
    new.rename(path)


def delete_then_create(path: Path) -> None:
    path.unlink()
    path.write_text("two\n")


def move_aside_then_create(path: Path) -> None:
    """As vim saves with a backup."""
    path.rename(path.with_suffix(".yaml~"))
    path.write_text("two\n")


@pytest.mark.parametrize("save", [write_in_place, rename_over, delete_then_create, move_aside_then_create])
async def test_a_save_is_noticed_once_however_the_editor_writes(save: Callable[[Path], None], path: Path) -> None:
    async with watching(path) as noticed:
        save(path)
        await noticed.next()
        await asyncio.sleep(0.3)
        assert noticed.count == 1


async def test_a_save_is_noticed_where_the_system_gives_no_notifications(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*folders: Path, **options: object) -> AsyncIterator[None]:
        if folders:
            raise OSError("inotify watch limit reached")
        yield

    monkeypatch.setattr(watch, "awatch", nothing)
    async with watching(path) as noticed:
        write_in_place(path)
        await noticed.next()


async def test_a_swapped_symlink_is_noticed_as_kubernetes_updates_its_mounts(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "perpwatch.yaml").write_text(f"{version}\n")
    data = tmp_path / "..data"
    data.symlink_to("one")
    path = tmp_path / "perpwatch.yaml"
    path.symlink_to("..data/perpwatch.yaml")
    async with watching(path) as noticed:
        (tmp_path / "..tmp").symlink_to("two")
        (tmp_path / "..tmp").rename(data)
        await noticed.next()


async def test_writing_the_same_content_again_is_no_news(path: Path) -> None:
    async with watching(path) as noticed:
        write(path, "one\n")
        await asyncio.sleep(0.5)
        assert noticed.count == 0


async def test_several_writes_in_a_row_are_one_save(path: Path) -> None:
    async with watching(path) as noticed:
        for text in ("", "t", "tw", "two\n"):
            write(path, text)
            await asyncio.sleep(0.03)
        await noticed.next()
        await asyncio.sleep(0.4)
        assert noticed.count == 1


async def test_a_save_between_the_load_and_the_watch_is_not_lost(path: Path) -> None:
    loaded = fingerprint(path)
    write_in_place(path)
    async with watching(path, seen=loaded) as noticed:
        await noticed.next()


async def test_a_file_that_is_gone_for_good_is_told_and_so_is_its_return(path: Path) -> None:
    async with watching(path) as noticed:
        delete(path)
        await noticed.next()
        write(path, "one\n")
        await noticed.next()
        assert noticed.count == 2


async def test_the_watch_ends_when_it_is_told_to(path: Path) -> None:
    stop = asyncio.Event()
    events = saves(path, SystemClock(), stop)
    waiting = asyncio.create_task(anext(events, None))
    await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(2):
        await waiting

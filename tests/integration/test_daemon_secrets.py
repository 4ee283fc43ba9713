"""A canary in every credential field: none may be seen in any log, message, page, exception or byte of the state."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp

from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import CRITICAL_MARK, REPO, Ended, House, Shell, a_house, a_process, eventually, terminated

# Words with what encodings change; each distinct, none of them part of another.
CANARY = {
    name: f"canary-{number}+{name}=/wX9"
    for number, name in enumerate(("api_key", "secret", "password", "uid", "private_key", "proxy", "json", "heartbeat"))
}
TELEGRAM = "123456789:AAcanary_telegram_token_0123456789abc"
DISCORD = "canary_discord_token_0123456789_abcdefghijklmnopqrstuvwxyz"


def _forms() -> Iterator[tuple[str, str]]:
    """Every shape in which a canary could be met."""
    for name, value in {**CANARY, "telegram": TELEGRAM, "discord": DISCORD}.items():
        raw = value.encode()
        yield from (
            (name, form)
            for form in {
                value,
                quote(value),
                quote(value, safe=""),
                quote_plus(value),
                json.dumps(value)[1:-1],
                raw.hex(),
                base64.b64encode(raw).decode().rstrip("="),
                base64.urlsafe_b64encode(raw).decode().rstrip("="),
            }
        )


FORMS = tuple(_forms())


def _seen_in(data: bytes) -> set[str]:
    return {name for name, form in FORMS if form.encode() in data}


def _bugged(folder: Path) -> str:
    """A process in which things go wrong loudly: an account that cannot be judged, with its keys in the exception."""
    (folder / "sitecustomize.py").write_text(
        "import monitor.pipeline as pipeline\n"
        "import os\n"
        "judge = pipeline.assess\n"
        "def assess(plan, *arguments):\n"
        "    if plan.name == 'main' and os.environ.get('BUG'):\n"
        f"        raise RuntimeError('judging with ' + {repr([*CANARY.values(), TELEGRAM, DISCORD])!r})\n"
        "    return judge(plan, *arguments)\n"
        "pipeline.assess = assess\n"
    )
    return str(folder)


def _configured(house: House, log_format: str, health_port: int = 0) -> None:
    """`main` is read; `faulty` and `behind` fail, at a venue that quotes what it was sent and behind a dead proxy."""
    sink, url = house.sink, house.server.base_url
    owner = house.engine.account("main")
    owner.api_key, owner.secret = CANARY["api_key"], CANARY["secret"]
    keys = ", ".join(f"{name}: '{CANARY[name]}'" for name in ("api_key", "secret", "password", "uid", "private_key"))
    proxy = f"http://user:{quote(CANARY['proxy'], safe='')}@127.0.0.1:9"
    house.yaml.accounts = {
        "main": f"{{venue: binanceusdm, base_url: '{url}', {keys}}}",
        "faulty": f"{{venue: bybit, base_url: 'http://127.0.0.1:{sink.port}', {keys}}}",
        "behind": f"{{venue: binancecoinm, base_url: '{url}', {keys}, proxy: '{proxy}'}}",
    }
    token = quote(CANARY["json"], safe="")
    house.yaml.channels = {
        "phone": f"{{url: '{sink.url('phone')}?:token={token}', severities: [info, warning, critical]}}",
        "down": f"{{url: 'json://user:{token}@127.0.0.1:9/{token}', severities: [info, warning, critical]}}",
        "refused": f"{{url: '{sink.url('refused')}/{token}', severities: [info, warning, critical]}}",
        "telegram": f"{{url: 'tgram://{TELEGRAM}/4242'}}",
        "discord": f"{{url: 'discord://987654321098765432/{DISCORD}'}}",
    }
    sink.status["refused"] = 500
    house.yaml.poll_interval, house.yaml.read_deadline = "1s", "2s"
    house.yaml.more = (
        f"log: {{level: debug, format: {log_format}}}\nhealth: {{port: {health_port}}}\ndatabase: {house.database}\n"
        f"heartbeat_url: 'http://127.0.0.1:{sink.port}/heartbeat/{quote(CANARY['heartbeat'], safe='')}'\n"
    )
    house.write()


def _state(house: House) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(house.folder.glob("state.db*")))


async def _page(port: int) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as response:
        return await response.read()


def _check(house: House, *ended: Ended) -> None:
    assert _state(house)
    found = {
        "stdout": _seen_in("".join(e.out for e in ended).encode()),
        "stderr": _seen_in("".join(e.err for e in ended).encode()),
        "state": _seen_in(_state(house)),
        "messages": _seen_in("\n".join(text for _, text in house.sink.messages).encode()),
    }
    assert found == {"stdout": set(), "stderr": set(), "state": set(), "messages": set()}


# Nobody but this machine may be asked: the two real services stand behind a proxy that refuses.
NOWHERE = {
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


async def test_the_daemon_shows_no_secret_anywhere(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> None:
    """In both formats of the log, side by side: most of the time is waiting."""
    formats = ("json", "console")
    for log_format in formats:
        (tmp_path / log_format).mkdir()
    await asyncio.gather(*(_a_bad_day(tmp_path / name, name, unused_tcp_port_factory()) for name in formats))


async def _a_bad_day(tmp_path: Path, log_format: str, port: int) -> None:
    async with a_house(tmp_path, speed=None) as house:
        _configured(house, log_format, port)
        house.mark(CRITICAL_MARK)
        path = f"{_bugged(tmp_path)}:{REPO}"
        running = a_process(tmp_path, "run", "-c", str(house.path), PYTHONPATH=path, BUG="1", **NOWHERE)
        async with running as process:
            await eventually(lambda: house.sink.about("perpwatch started"), "the start")
            house.server.misbehave(Fault(kind=FaultKind.HTML))
            bad = house.path.read_text().replace("warning: 5%", f"warning: '{CANARY['secret']}'")
            house.path.write_text(bad.replace("uid:", "uidd:"))
            await eventually(lambda: house.sink.about("configuration not taken"), "the bad edit's message")
            house.write()
            during, page = _state(house), await _page(port)
            ended = await terminated(process)
            assert ended.code == 0, ended.err[-3000:]
        assert "judging with" in ended.err, "the exception was logged"
        for what in ("heartbeat", "not delivered", "read failed", "not taken"):
            assert what in ended.err, what
        assert not _seen_in(during)
        assert b"channel:refused" in page
        assert not _seen_in(page)
        _check(house, ended)


async def test_the_commands_show_no_secret(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=None) as house:
        _configured(house, "json")
        house.database.write_bytes(b"none")
        shell = Shell(tmp_path, **NOWHERE)
        ended = [
            await shell(*command, "-c", house.path)
            for command in (("once",), ("once", "--json"), ("check",), ("check", "--online"), ("test-alert",))
        ]
        assert [e.code for e in ended] == [2, 2, 0, 1, 1], ended
        house.path.write_text(house.path.read_text().replace("tgram://", "tgramm://").replace("uid:", "uid: x, uid:"))
        broken = await shell("check", "-c", house.path)
        assert broken.code == 1
        shell.close()
        _check(house, *ended, broken)

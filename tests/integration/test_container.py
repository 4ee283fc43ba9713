"""The container's health check looks where the health page is, whatever the YAML says."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from monitor.status.server import port_of, start, stop
from tests.daemon_kit import environment
from tests.unit.config_kit import MINIMAL, read
from tests.unit.test_status import a_health

_DOCKERFILE = (Path(__file__).resolve().parents[2] / "Dockerfile").read_text().replace("\\\n", " ")


def _image_environment() -> dict[str, str]:
    """Of the last stage."""
    lines = re.findall(r"^ENV (.+)$", _DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in line.split())


async def _health_check(**env: str) -> int:
    """The exit code of the image's check in this environment."""
    (found,) = re.findall(r"^HEALTHCHECK .*CMD (\[.+\])$", _DOCKERFILE, re.MULTILINE)
    program, *arguments = json.loads(found)
    assert program == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment(**env), stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize("health", ["", "health: {port: 9090}\n", "health: {host: '::1', port: 9090}\n"])
def test_the_page_is_served_where_the_image_says_and_not_where_the_yaml_does(health: str) -> None:
    image = _image_environment()
    settings = read(MINIMAL + health, {name: value for name, value in image.items() if name.startswith("PERPWATCH_")})
    assert (settings.health.host, str(settings.health.port)) == ("127.0.0.1", image["PERPWATCH_HEALTH__PORT"])


async def test_the_check_of_the_image_asks_the_page_at_the_port_of_the_environment() -> None:
    runner = await start("127.0.0.1", 0, a_health())
    port = str(port_of(runner))
    # A proxy of the container's environment is none of the check's business.
    env = {"PERPWATCH_HEALTH__PORT": port, "http_proxy": "http://127.0.0.1:9"}
    try:
        assert await _health_check(**env) == 0
    finally:
        await stop(runner)
    assert await _health_check(**env) == 1

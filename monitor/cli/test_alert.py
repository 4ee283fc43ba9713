"""`perpwatch test-alert`: one message through every channel, so that the first real one arrives."""

import asyncio

import typer

from monitor.cli.errors import CommandError
from monitor.cli.loading import CONFIG, ConfigPath, load_settings
from monitor.clock import Clock, SystemClock
from monitor.config.settings import Settings
from monitor.domain.notification import notice_key, notices
from monitor.domain.reading import Severity
from monitor.log import configure
from monitor.notify.channels import Channel, open_channels
from monitor.notify.message import render
from monitor.notify.results import SendResult


def alert_test(config: ConfigPath = CONFIG) -> int:
    """Send a test message to every channel and say which accepted it; exits 1 where any did not."""
    settings = load_settings(config)
    configure("warning", settings.log.format)
    if not settings.channels:
        raise CommandError(f"{config} names no channel to send to")
    results = asyncio.run(send_to_all(settings, SystemClock()))
    for name, result in results.items():
        typer.echo(f"{name}: {'accepted' if result.is_accepted else f'not accepted ({result.kind}): {result.detail}'}")
    return 0 if all(result.is_accepted for result in results.values()) else 1


async def send_to_all(settings: Settings, clock: Clock) -> dict[str, SendResult]:
    """The channels' answers to one test message each, by channel name."""
    urls = {name: channel.url.get_secret_value() for name, channel in settings.channels.items()}
    channels = open_channels(urls, clock)
    answers = await asyncio.gather(*(_send(channel, clock) for channel in channels.values()))
    return dict(zip(channels, answers, strict=True))


async def _send(channel: Channel, clock: Clock) -> SendResult:
    now, lines = clock.now(), ["If you read this, alerts reach you here."]
    rows = notices([channel.name], notice_key("test"), 1, "perpwatch test message", lines, Severity.INFO, now)
    try:
        return await channel.send(render(rows, now, channel.limit))
    finally:
        channel.close()

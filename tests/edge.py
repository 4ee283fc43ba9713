"""The network's edge: ccxt clients that send nothing, and what they tried to send."""

from collections.abc import AsyncIterator
from functools import cache

import aiohttp
import pytest

from monitor.clock import SystemClock
from monitor.exchange.budget import Budget
from monitor.exchange.client import ClockOffset, Shared, new_session, new_ssl_context

# Method and path of each request.
Sent = list[tuple[str, str]]


# As costly as the rest of a client together, and the same for all.
one_ssl_context = cache(new_ssl_context)


@pytest.fixture
def sent() -> Sent:
    """Every request anybody tried to send; none arrives."""
    return []


@pytest.fixture
async def shared(sent: Sent) -> AsyncIterator[Shared]:
    async def refuse(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        sent.append((params.method, params.url.path))
        raise OSError("nothing leaves a test")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(refuse)
    tracing.freeze()
    clock, context = SystemClock(), one_ssl_context()
    session = new_session(context)
    session.trace_configs.append(tracing)
    budget = Budget(weight_per_minute=10**9, calls_per_second=10**9, clock=clock)
    yield Shared(clock=clock, session=session, ssl_context=context, budget=budget, offset=ClockOffset(), patience_s=5.0)
    await session.close()

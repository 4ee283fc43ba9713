"""The tables and statements of the store, and that everything comes back from its row as it was."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, inspect, select, update
from sqlalchemy.dialects import postgresql

from monitor.clock import SystemClock
from monitor.domain.alert import Alert, Reason, Resolution
from monitor.domain.notification import AlertFacts, DeliveryState, NoticeFacts, Notification
from monitor.domain.reading import AlertKey, Scope, Severity, Unit
from monitor.store import records, schema
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.unit.store_kit import T0, ManualClock, copy_as_after_kill

POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


async def test_migrations_make_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from monitor.store import migrate

    store = await Store.open(tmp_path / "a.db", ManualClock())
    assert store._database.engine is not None
    with store._database.engine.begin() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)
        assert differences == []
        uniques = inspect(connection).get_unique_constraints("outbox")
        assert [tuple(unique["column_names"]) for unique in uniques] == [schema.IDENTITY]
    config = Config()
    config.set_main_option("script_location", str(migrate._SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD
    await store.close()


def test_every_statement_compiles_for_postgresql_as_well() -> None:
    upsert = postgresql.insert(schema.outbox).on_conflict_do_nothing()
    assert "ON CONFLICT DO NOTHING" in str(upsert.compile(dialect=POSTGRESQL))
    for table in schema.metadata.sorted_tables:
        for statement in (select(table), insert(table), update(table)):
            assert table.name in str(statement.compile(dialect=POSTGRESQL))


async def test_opening_a_current_database_imports_no_alembic(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "a.db"
    await (await Store.open(path, SystemClock())).close()
    code = (
        "import asyncio, sys; from pathlib import Path; from monitor.clock import SystemClock\n"
        "from monitor.store.store import Store\n"
        "async def main():\n    await (await Store.open(Path(sys.argv[1]), SystemClock())).close()\n"
        "asyncio.run(main()); assert 'alembic' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(path)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30, cwd=Path(__file__).parents[2])


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given UTC
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
KEYS = st.builds(AlertKey, TEXT, TEXT, st.sampled_from(Scope), TEXT)
INPUTS = st.dictionaries(TEXT, TEXT | FINITE | st.integers(-(2**53), 2**53) | st.booleans() | st.none(), max_size=4)
ALERTS = st.builds(
    Alert,
    key=KEYS,
    breached_since=st.dictionaries(st.sampled_from(Severity), TIMES, max_size=3),
    fired_at=st.none() | TIMES,
    worst_value=st.none() | FINITE,
    last_value=st.none() | FINITE,
    severity=st.none() | st.sampled_from(Severity),
    resolution=st.none() | st.sampled_from(Resolution),
    inputs=INPUTS,
    firings=st.lists(TIMES, max_size=3).map(tuple),
    episode=st.integers(0, 10**9),
)
FACTS = st.builds(
    AlertFacts,
    rule_kind=TEXT,
    venue=TEXT,
    threshold=st.none() | FINITE,
    value=st.none() | FINITE,
    worst_value=st.none() | FINITE,
    unit=st.sampled_from(Unit),
    active_at=st.none() | TIMES,
    fired_at=st.none() | TIMES,
    resolved_at=st.none() | TIMES,
    resolution=st.none() | st.sampled_from(Resolution),
    is_flapping=st.booleans(),
    inputs=INPUTS,
) | st.builds(NoticeFacts, title=TEXT, lines=st.lists(TEXT, max_size=3).map(tuple))
MESSAGES = st.builds(
    Notification,
    key=KEYS,
    episode=st.integers(0, 10**12),
    sequence=st.integers(0, 10**12),
    reason=st.sampled_from(Reason),
    target=TEXT,
    severity=st.sampled_from(Severity),
    facts=FACTS,
    created_at=TIMES,
    send_after=TIMES,
    id=st.just(None),
    state=st.sampled_from([DeliveryState.PENDING, DeliveryState.RETRY]),
    possible_repeat=st.booleans(),
    last_error=st.none() | TEXT,
)


@given(ALERTS)
def test_an_alert_comes_back_from_its_row_as_it_was(alert: Alert) -> None:
    row = records.alert_row(alert, T0)
    assert records.ALERT.validate_json(row["body"]) == alert


@given(MESSAGES)
def test_a_message_comes_back_from_its_row_as_it_was(row: Notification) -> None:
    back = records.NOTIFICATION.validate_json(records.outbox_row(row, T0)["body"])
    assert back == row
    assert type(back.facts) is type(row.facts)


@settings(max_examples=15, deadline=None, phases=(Phase.generate,))
@given(alerts=st.lists(ALERTS, max_size=4), rows=st.lists(MESSAGES, max_size=4))
async def test_whatever_is_applied_is_there_after_a_kill(
    alerts: list[Alert], rows: list[Notification], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), ManualClock()
    store = await Store.open(folder / "a.db", clock)
    await store.apply(Changes(alerts=tuple(alerts), enqueue=tuple(rows)))
    survivor = await Store.open(copy_as_after_kill(folder / "a.db", folder / "killed"), clock)
    assert survivor.alerts == store.alerts
    assert survivor.undelivered == store.undelivered
    for row in rows:
        latest = survivor.alert(row.key).episode if row.key not in survivor.alerts else row.episode
        assert survivor.announced_targets(row.key, latest) == store.announced_targets(row.key, latest)
    await survivor.close()
    await store.close()

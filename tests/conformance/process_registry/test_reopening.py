"""Several handles on one file: scenarios 43 to 46."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import apsw
import pytest

from lash_store.errors import UnsupportedSchemaVersion
from lash_store.records.process import ProcessProvenance, ProcessRegistration, ProcessScope
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputExternal
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import DESCRIPTOR, OK, append, register, wake_type
from tests.process_registries import Registries


async def test_scenario_43_a_second_handle_sees_the_same(registries: Registries) -> None:
    first, second = await registries.file(), await registries.file()
    scope = ProcessScope("reopen-session")
    record = await register(first, "proc-reopen", wake_type("producer.reopen_wake"))
    await first.grant_handle(scope, "proc-reopen", DESCRIPTOR)
    payload = {"wake_input": "again"}
    event = await append(first, "proc-reopen", "producer.reopen_wake", payload, key="producer:reopen", target=scope)
    assert await second.get_process("proc-reopen") == record
    assert await second.events_after("proc-reopen", 0) == [event.event]
    assert len(await second.list_handle_grants(scope)) == 1
    again = await append(second, "proc-reopen", "producer.reopen_wake", payload, key="producer:reopen", target=scope)
    assert again == event


async def test_scenario_44_everything_outlives_its_handle(registries: Registries) -> None:
    first = await registries.file()
    scope = ProcessScope("session")
    await first.register_process(
        ProcessRegistration("proc-persist", ProcessInputExternal(), provenance=ProcessProvenance(scope, "test-host"))
    )
    await first.grant_handle(scope, "proc-persist", ProcessHandleDescriptor("tool", "demo"))
    await first.complete_process("proc-persist", OK)
    await first.close()
    second = await registries.file()
    record = await second.get_process("proc-persist")
    assert record is not None
    assert record.provenance.owner_scope.id == "session:session"
    assert await second.await_process("proc-persist") == OK
    assert len(await second.list_handle_grants(scope)) == 1


async def test_scenario_45_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE t (a); PRAGMA user_version = 99").fetchall()
    other.close()
    with pytest.raises(UnsupportedSchemaVersion, match="process registry") as refused:
        await SqliteProcessRegistry.open(path)
    assert (refused.value.kind, refused.value.expected, refused.value.found) == ("process registry", 6, 99)
    assert "99" in str(refused.value)
    assert "6" in str(refused.value)


def test_scenario_46_sixteen_open_a_new_file_at_once(tmp_path: Path) -> None:
    path, together = tmp_path / "new.db", Barrier(16)

    async def open_and_read() -> int:
        async with await SqliteProcessRegistry.open(path) as registry:
            return len(await registry.list_non_terminal())

    def opener() -> int:
        together.wait(20)
        return asyncio.run(open_and_read())

    with ThreadPoolExecutor(16) as threads:
        assert [job.result(60) for job in [threads.submit(opener) for _ in range(16)]] == [0] * 16
    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == 6
    connection.close()

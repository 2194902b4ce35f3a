"""The list of a folder's sessions: every one is a row, whatever its state; what is no session is none."""

import os
import sys
import threading
from pathlib import Path

import pytest

from lash_store import (
    ConversationRecord,
    ListedSession,
    MessageRole,
    NotADatabase,
    RuntimeCommit,
    RuntimeSessionState,
    SessionPickerInfo,
    SessionRelationChild,
    SessionRelationRoot,
    SqliteEffectHost,
    SqliteHostEventStore,
    SqliteProcessRegistry,
    SqliteSessionStoreFactory,
    Store,
    StoreBackend,
    StoreCorrupt,
    StoreOpenFailed,
    StoreReadOnly,
    UnsupportedSchemaVersion,
    append_to_graph,
)
from tests.sqlite.session_store.samples import as_lash_does


@pytest.fixture
def factory(tmp_path: Path) -> SqliteSessionStoreFactory:
    return SqliteSessionStoreFactory(tmp_path / "sessions")


async def said(factory: SqliteSessionStoreFactory, session_id: str, *texts: str, parent: str = "") -> Path:
    relation = SessionRelationChild(parent) if parent else SessionRelationRoot()
    async with await factory.create_store(session_id, relation) as store:
        state = RuntimeSessionState.new(session_id)
        messages = [ConversationRecord.text(MessageRole.USER, text) for text in texts]
        state.graph, _ = append_to_graph(state.graph, messages)
        await store.commit_runtime_state(RuntimeCommit.persisted_state(state))
    return factory.path_for_session(session_id)


def error_of(rows: list[ListedSession], path: Path) -> object:
    (row,) = (row for row in rows if row.path == path)
    assert row.info is None
    return row.error


def open_files() -> list[str]:
    return [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]


async def test_the_sessions_by_name(factory: SqliteSessionStoreFactory) -> None:
    cwd = str(Path.cwd())
    second = await said(factory, "b", parent="a")
    first = await said(factory, "a", "hello", "again")
    assert await factory.list_sessions() == [
        ListedSession(path=first, info=SessionPickerInfo("a", cwd, SessionRelationRoot(), 2, "hello")),
        ListedSession(path=second, info=SessionPickerInfo("b", cwd, SessionRelationChild("a"), 0, "")),
    ]


async def test_no_folder_has_no_sessions(factory: SqliteSessionStoreFactory) -> None:
    assert await factory.list_sessions() == []
    assert not factory.root.exists()


async def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreOpenFailed) as failed:
        await SqliteSessionStoreFactory(tmp_path / "file").list_sessions()
    assert failed.value.path == str(tmp_path / "file")


async def test_files_of_other_kinds_are_no_sessions(factory: SqliteSessionStoreFactory) -> None:
    path = await said(factory, "a")
    for kind in (SqliteProcessRegistry, SqliteEffectHost, SqliteHostEventStore):
        await (await kind.open(factory.root / f"{kind.__name__}.db")).close()
    (factory.root / "folder.db").mkdir()
    (factory.root / "notes.txt").write_text("no database")
    assert [row.path for row in await factory.list_sessions()] == [path]


async def test_what_cannot_be_read_is_a_row_with_its_error(factory: SqliteSessionStoreFactory) -> None:
    good = await said(factory, "good", "hello")
    damaged, foreign, newer, torn = [await said(factory, name) for name in ("damaged", "foreign", "newer", "torn")]
    as_lash_does(damaged, "UPDATE session_meta SET relation_json = '{'")
    foreign.write_bytes(b"no database" * 1000)
    as_lash_does(newer, "PRAGMA user_version = 4")
    as_lash_does(torn, "DROP TABLE session_meta")
    text = await said(factory, "text")
    as_lash_does(text, "UPDATE session_meta SET cwd = CAST(x'ff' AS TEXT)")
    rows = await factory.list_sessions()
    assert [row.path for row in rows] == sorted([good, damaged, foreign, newer, torn, text])
    assert [row.path for row in rows if row.error is None] == [good]
    assert isinstance(error_of(rows, damaged), StoreCorrupt)
    assert isinstance(error_of(rows, foreign), NotADatabase)
    assert isinstance(error_of(rows, newer), UnsupportedSchemaVersion)
    assert isinstance(error_of(rows, torn), StoreBackend)
    assert isinstance(error_of(rows, text), StoreCorrupt)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
async def test_what_may_not_be_read_is_a_row_with_its_error(factory: SqliteSessionStoreFactory) -> None:
    path = await said(factory, "a")
    path.chmod(0)
    assert isinstance(error_of(await factory.list_sessions(), path), StoreOpenFailed)


async def test_one_that_has_no_names_is_a_row_with_neither(factory: SqliteSessionStoreFactory) -> None:
    factory.root.mkdir()
    (factory.root / "begun.db").touch()
    await (await Store.open(factory.root / "direct.db")).close()
    assert await factory.list_sessions() == [
        ListedSession(path=factory.root / "begun.db"),
        ListedSession(path=factory.root / "direct.db"),
    ]


async def test_one_that_lash_has_made_is_read_as_it_is(factory: SqliteSessionStoreFactory) -> None:
    path = await said(factory, "a", "hello")
    as_lash_does(path, "DROP INDEX lash_graph_user_messages", "DROP TABLE lash_usage_totals")
    (row,) = await factory.list_sessions()
    assert row.info is not None
    assert row.info.user_message_count == 1


async def test_nothing_stays_open_and_no_thread_remains(factory: SqliteSessionStoreFactory) -> None:
    for number in range(20):
        await said(factory, str(number))
    assert len(await factory.list_sessions()) == 20
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lash_store list")] == []
    if sys.platform == "linux":
        assert [file for file in open_files() if file.startswith(str(factory.root))] == []
    for number in range(20):
        await factory.delete_session(str(number))
    assert list(factory.root.iterdir()) == []


async def test_a_session_is_listed_while_it_is_written(factory: SqliteSessionStoreFactory) -> None:
    async with await factory.create_store("a") as store:
        await store.commit_runtime_state(RuntimeCommit.persisted_state(RuntimeSessionState.new("a")))
        (row,) = await factory.list_sessions()
        assert row.info is not None
        await store.commit_runtime_state(RuntimeCommit.persisted_state(RuntimeSessionState.new("a")))


async def test_a_session_is_opened_for_reading_by_its_id(factory: SqliteSessionStoreFactory) -> None:
    await said(factory, "chat/alpha", "hello")
    async with await factory.open_readonly("chat/alpha") as store:
        read = await store.load_session()
        assert read is not None
        assert read.session_id == "chat/alpha"
        with pytest.raises(StoreReadOnly):
            await store.put_blob(b"x")
    with pytest.raises(StoreOpenFailed):
        await factory.open_readonly("never created")
    assert not factory.path_for_session("never created").exists()

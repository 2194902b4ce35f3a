"""The factory: a file for each session, named once, and removed only when nobody uses it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lash_store import (
    ModelLimits,
    ModelSpec,
    RuntimeSessionState,
    SessionMeta,
    SessionPolicy,
    SessionRelation,
    SessionRelationChild,
    SessionRelationRoot,
    SqliteSessionStoreFactory,
    Store,
    StoreOptions,
)
from lash_store.errors import (
    InvalidJsonValue,
    InvalidRecord,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreOpenFailed,
    UnsupportedSchemaVersion,
)
from lash_store.sqlite import removal
from tests.crash.session_invariants import check
from tests.programs.session_turns import SESSION
from tests.sqlite.session_store.samples import change, commit, message_node, query
from tests.watchdog import Program

NOW_MS = 1_767_225_600_999
RACES = 20
SUCCESSES = 30
SEPARATORS = ["", "/", "..", "../../x", "a/b", "a\\b", "-wal", "x.db", "?mode=ro", "%2f"]
HOSTILE_IDS = [*SEPARATORS, "a\0b", "x" * 10_000, "日本", "a b\n"]


class Clock:
    """A clock that stands."""

    def now_ms(self) -> int:
        return NOW_MS


def policy(model: str) -> SessionPolicy:
    return SessionPolicy(ModelSpec(id=model, limits=ModelLimits(1)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "sessions" / "of" / "everybody"


@pytest.fixture
def factory(root: Path) -> SqliteSessionStoreFactory:
    return SqliteSessionStoreFactory(root, StoreOptions(clock=Clock()))


@pytest.fixture
async def store(factory: SqliteSessionStoreFactory) -> AsyncIterator[Store]:
    async with await factory.create_store(SESSION, policy=policy("first-model")) as created:
        yield created


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def files(root: Path) -> list[str]:
    return sorted(file.name for file in root.iterdir())


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_id", HOSTILE_IDS)
def test_whatever_the_id_its_file_lies_in_the_folder(root: Path, session_id: str) -> None:
    path = SqliteSessionStoreFactory(root).path_for_session(session_id)
    assert path == SqliteSessionStoreFactory(str(root)).path_for_session(session_id)
    assert path.parent == root
    assert path.name.endswith(".db")
    assert len(path.name) <= 80 + 1 + 16 + 3
    assert set(path.stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_every_id_has_a_file_of_its_own(factory: SqliteSessionStoreFactory) -> None:
    assert len({factory.path_for_session(session_id) for session_id in HOSTILE_IDS}) == len(HOSTILE_IDS)


@pytest.mark.parametrize("session_id", HOSTILE_IDS)
async def test_whatever_the_id_the_session_is_found_again(factory: SqliteSessionStoreFactory, session_id: str) -> None:
    async with await factory.create_store(session_id) as store:
        await commit(store, RuntimeSessionState.new(session_id), message_node("m", "hello"))
    async with await factory.create_store(session_id) as store:
        meta, read, info = await store.load_session_meta(), await store.load_session(), await store.load_picker_info()
    assert meta is not None
    assert read is not None
    assert info is not None
    assert meta.session_id == meta.session_name == read.session_id == info.session_id == session_id
    await factory.delete_session(session_id)
    assert files(factory.root) == []


async def test_an_id_that_is_no_text_for_utf8_is_refused(factory: SqliteSessionStoreFactory) -> None:
    for operation in (factory.create_store, factory.delete_session):
        with pytest.raises((InvalidJsonValue, InvalidRecord)):
            await operation("a\ud800")
    assert not factory.root.exists()


@pytest.mark.parametrize("session_id", [None, 7, b"root", ["root"]])
async def test_an_id_that_is_no_text_is_refused(factory: SqliteSessionStoreFactory, session_id: Any) -> None:
    for operation in (factory.create_store, factory.delete_session):
        with pytest.raises(StoreError):
            await operation(session_id)
    assert not factory.root.exists()


# -- creation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", [SessionRelationRoot(), SessionRelationChild("parent")])
async def test_a_new_session_is_named(factory: SqliteSessionStoreFactory, relation: SessionRelation) -> None:
    async with await factory.create_store("chat/alpha", relation, policy("first-model")) as store:
        assert await store.load_session_meta() == SessionMeta(
            "chat/alpha", "chat/alpha", f"unix:{NOW_MS // 1000}", "first-model", str(Path.cwd()), relation
        )
        assert store.path == os.fspath(factory.path_for_session("chat/alpha"))


async def test_a_name_that_is_there_stays(factory: SqliteSessionStoreFactory, store: Store) -> None:
    named = SessionMeta(SESSION, "Renamed", "original", "preserved-model", None, SessionRelationChild("p"))
    await store.save_session_meta(named)
    async with await factory.create_store(SESSION, SessionRelationRoot(), policy("second-model")) as again:
        assert await again.load_session_meta() == named


async def test_a_name_that_cannot_be_read_stays(factory: SqliteSessionStoreFactory, store: Store) -> None:
    await change(store, "UPDATE session_meta SET relation_json = '{'")
    stored = await query(store, "SELECT * FROM session_meta")
    async with await factory.create_store(SESSION, policy=policy("second-model")) as again:
        with pytest.raises(StoreCorrupt):
            await again.load_session_meta()
    assert await query(store, "SELECT * FROM session_meta") == stored


async def test_a_folder_that_is_gone_or_no_text_is_not_written_down(
    factory: SqliteSessionStoreFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> str:
        raise FileNotFoundError

    for number, getcwd in enumerate((gone, lambda: "/\udcff")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "getcwd", getcwd)
            store = await factory.create_store(str(number))
        async with store:
            meta = await store.load_session_meta()
        assert meta is not None
        assert meta.cwd is None


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "sessions"
    with pytest.raises(StoreOpenFailed) as failed:
        await SqliteSessionStoreFactory(root).create_store(SESSION)
    assert failed.value.path == str(root)


@pytest.mark.parametrize(
    "wrong",
    [{"relation": {"kind": "root"}}, {"relation": SessionRelationChild("\ud800")}, {"policy": policy("\ud800")}],
)
async def test_a_session_that_cannot_be_named_is_not_created(
    factory: SqliteSessionStoreFactory, wrong: dict[str, Any]
) -> None:
    with pytest.raises((InvalidRecord, InvalidJsonValue)):
        await factory.create_store(SESSION, **wrong)
    assert not factory.path_for_session(SESSION).exists()


async def test_what_two_processes_create_at_once_is_named_once(root: Path, programs: ExitStack) -> None:
    creators = [programs.enter_context(Program("session_opener", root)) for _ in range(2)]
    factory = SqliteSessionStoreFactory(root)
    names = {str(creator.pid) for creator in creators}
    for number in range(RACES):
        session_id = f"session {number}"
        assert [creator.ask(session_id) for creator in creators] == ["ready"] * 2
        for creator in creators:
            creator.say("go")
        assert [creator.hear() for creator in creators] == ["ok"] * 2
        async with await factory.create_store(session_id, policy=policy("late")) as store:
            meta = await store.load_session_meta()
            assert meta is not None
            assert meta.session_id == session_id
            assert meta.model in names
            assert await query(store, "SELECT count(*) FROM session_meta") == [(1,)]
        assert [creator.ask("") for creator in creators] == ["closed"] * 2


# -- deletion ---------------------------------------------------------------------------------------------------------


async def test_a_session_in_use_here_is_not_deleted(factory: SqliteSessionStoreFactory, store: Store) -> None:
    await commit(store, RuntimeSessionState.new(SESSION), message_node("m", "hello"))
    with pytest.raises(StoreInUse) as refused:
        await factory.delete_session(SESSION)
    assert refused.value.path == store.path
    assert await store.load_node("m") is not None
    await store.close()
    async with await Store.open_readonly(store.path) as reader:
        with pytest.raises(StoreInUse):
            await factory.delete_session(SESSION)
        assert await reader.load_node("m") is not None
    await factory.delete_session(SESSION)
    await factory.delete_session(SESSION)
    assert files(factory.root) == []


async def test_a_session_in_use_elsewhere_is_not_deleted(root: Path, programs: ExitStack) -> None:
    factory = SqliteSessionStoreFactory(root)
    other = programs.enter_context(Program("session_opener", root))
    assert other.ask(SESSION) == "ready"
    assert other.ask("go") == "ok"
    with pytest.raises(StoreInUse):
        await factory.delete_session(SESSION)
    other.kill()
    await factory.delete_session(SESSION)
    assert files(root) == []


async def test_only_that_session_is_deleted(factory: SqliteSessionStoreFactory, store: Store) -> None:
    await (await factory.create_store("other")).close()
    before = files(factory.root)
    await factory.delete_session("other")
    await factory.delete_session("never created")
    assert files(factory.root) == [name for name in before if not name.startswith("other-")]
    assert await store.load_session_meta() is not None


async def test_a_session_whose_deletion_was_cut_short_is_refused_until_it_is_deleted(
    factory: SqliteSessionStoreFactory, store: Store
) -> None:
    await store.close()
    removal._locked(store.path)  # as far as a process comes that is killed before the file goes
    with pytest.raises(UnsupportedSchemaVersion):
        await factory.create_store(SESSION)
    await factory.delete_session(SESSION)
    async with await factory.create_store(SESSION) as again:
        assert await again.load_session() is None


# -- creation beside deletion -----------------------------------------------------------------------------------------


async def test_no_commit_is_lost_but_with_its_whole_session(root: Path, programs: ExitStack) -> None:
    """Processes that create and commit, beside others that delete: what was committed after the last deletion is there.

    An earlier commit may be gone, if a deletion ended after it began.
    """
    roles = ["commit", "commit", "delete", "delete"]
    churners = [programs.enter_context(Program("session_churner", root, role)) for role in roles]
    assert [churner.hear() for churner in churners] == ["ready"] * len(roles)
    said = [churner.hear() for _ in range(SUCCESSES) for churner in churners]
    for churner in churners:
        churner.say("stop")
    for churner in churners:
        while (line := churner.hear()) != "end":
            said.append(line)
        churner.end()
    words = [line.split() for line in said]
    committed = {word[1]: int(word[2]) for word in words if word[0] == "committed"}
    deletions = [int(word[2]) for word in words if word[0] == "deleted"]
    async with await SqliteSessionStoreFactory(root).create_store(SESSION) as store:
        await store._read(check)
        there = {node_id for (node_id,) in await query(store, "SELECT node_id FROM graph_nodes")}
    assert there <= committed.keys()
    last = max(deletions)
    assert {node_id for node_id, began in committed.items() if began > last} <= there

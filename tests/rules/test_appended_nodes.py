"""New nodes of a graph reach a commit without the old ones."""

from lash_store import (
    Append,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    SessionGraph,
    SessionNodePayloadPlugin,
    append_to_graph,
)


def test_a_commit_can_append_instead_of_replacing() -> None:
    state = RuntimeSessionState.new("root")
    graph, added = append_to_graph(SessionGraph(), [SessionNodePayloadPlugin("a", 1), SessionNodePayloadPlugin("b", 2)])
    state.graph = graph
    whole = RuntimeCommit.persisted_state(state)
    assert whole.graph == ReplaceFull(graph.nodes, graph.leaf_node_id)
    assert whole.with_appended_nodes(added).graph == Append(added, added[-1].node_id)
    assert whole.with_appended_nodes([]).graph == Append([], graph.leaf_node_id)

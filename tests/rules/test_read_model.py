"""Which nodes count for a frame (session store specification 4.29)."""

import pytest

from lash_store.records.graph import ProtocolEvent, SessionGraph, SessionNodePayloadEvent, SessionNodeRecord
from lash_store.rules.graph import active_read_model

FRAMES = [None, "root:frame:initial", "frame-2"]
GRAPH = SessionGraph(
    [
        SessionNodeRecord(
            node_id=str(number),
            parent_node_id=str(number - 1) if number else None,
            agent_frame_id=frame,
            timestamp="t",
            payload=SessionNodePayloadEvent(ProtocolEvent(str(frame), None)),
        )
        for number, frame in enumerate(FRAMES)
    ],
    "2",
)


@pytest.mark.parametrize(
    ("frame_id", "initial", "counted"),
    [
        ("", None, ["None", "root:frame:initial", "frame-2"]),
        ("root:frame:initial", None, ["None", "root:frame:initial"]),
        ("frame-2", None, ["frame-2"]),
        ("frame-2", True, ["None", "frame-2"]),
        ("root:frame:initial", False, ["root:frame:initial"]),
    ],
)
def test_nodes_of_no_frame_count_for_the_initial_one_alone(
    frame_id: str, initial: bool | None, counted: list[str]
) -> None:
    read = active_read_model(GRAPH, frame_id, initial=initial)
    assert [event.plugin_id for event in read.events if isinstance(event, ProtocolEvent)] == counted

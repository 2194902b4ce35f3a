"""Texts of small records: their required keys, and what defaults make of them."""

import json
from typing import Any

MODEL = '{"id":"m","limits":{"context_window_tokens":1}}'
CONFIG = f'{{"provider_id":"p","model":{MODEL}}}'
POLICY = f'{{"model":{MODEL},"provider_id":"p","session_id":null,"autonomous":false,"max_turns":null}}'
FRAME = f'{{"frame_id":"f","session_id":"s","created_at":"t","assignment":{{"policy":{POLICY}}}}}'
USAGE = '{"input_tokens":1,"output_tokens":2,"cached_input_tokens":3}'
PART = '{"id":"p","kind":"Text","content":"c","prune_state":"Intact"}'
NODE = '{"node_id":"n","timestamp":"t","kind":"plugin","plugin_type":"x","body":null}'
PROMPT = '{"prompt_context_tokens":1,"input_tokens":2,"cached_input_tokens":3}'
PART_WITH_METAS = PART[:-1] + ',"reasoning_meta":{},"response_meta":{}}'
HEAD_WRITTEN = f'{{"session_id":"root","head_revision":0,"config":{CONFIG},"agent_frames":[],"graph_node_count":0}}'
FRAME_WRITTEN = (
    '{"frame_id":"f","session_id":"s","status":"active","reason":"initial","created_at":"t",'
    f'"assignment":{{"policy":{POLICY},"plugin_options":{{}},"plugin_source":"current_session_fork",'
    '"tool_access":{}},"protocol_turn_options":{"payload":{}}}'
)
TURN_WRITTEN = (
    '{"turn_index":1,"token_usage":{"input_tokens":0,"output_tokens":0,"cached_input_tokens":0,"reasoning_tokens":0},'
    '"protocol_turn_options":{"payload":{}}}'
)


def changed(text: str, **changes: Any) -> str:
    """Return the object `text` with keys set; `...` removes one."""
    plain = {**json.loads(text), **changes}
    return json.dumps({key: item for key, item in plain.items() if item is not ...})

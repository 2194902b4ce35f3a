"""How a process is completed: by an event that says with what (process specification 4.6)."""

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.layout import Unfit
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_event_type import terminal_event_name
from lash_store.records.process_ids import terminal_replay_key
from lash_store.records.process_output import AWAIT_OUTPUT, ProcessAwaitOutput


def completion_request(process_id: str, await_output: ProcessAwaitOutput) -> ProcessEventAppendRequest:
    """The request that ends a process with `await_output`, in the state that this output stands for.

    Raises InvalidRecord or InvalidJsonValue if it has no stored form.
    """
    try:
        plain = AWAIT_OUTPUT.write(await_output, True)
    except Unfit as unfit:
        if unfit.free:
            raise InvalidJsonValue(unfit.path, unfit.reason) from None
        raise InvalidRecord("ProcessAwaitOutput", unfit.path, unfit.reason) from None
    event_type = terminal_event_name(await_output.STATE)
    replay = RuntimeReplay(terminal_replay_key(process_id, event_type))
    return ProcessEventAppendRequest(event_type, {"await_output": plain}, replay)

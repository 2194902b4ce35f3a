"""How lash composes the invocations of effects (effects specification 3.2).

Only needed to share a history with it: the hash of an envelope covers scope, effect id and cause too, so the replay key
alone does not make two effects one.
"""

import hashlib
from typing import Any, Final

from lash_store.errors import EffectRefused
from lash_store.records import json_text
from lash_store.records.causal import CausalRef
from lash_store.records.effect_command import ProcessCommand, process_command_effect_id
from lash_store.records.effect_layouts import REQUEST
from lash_store.records.invocation import (
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeReplay,
    RuntimeScope,
    RuntimeSubjectEffect,
)
from lash_store.records.layout import Unfit, stored_form

_NAMELESS: Final = "effect"


def turn_effect_invocation(scope: RuntimeScope, kind: RuntimeEffectKind, number: int) -> RuntimeInvocation:
    """The `number`-th effect of a protocol iteration; `scope` is one of `RuntimeScope.for_turn`."""
    place = f"{scope.session_id}:{scope.turn_id}:{scope.turn_index}:{scope.protocol_iteration}"
    return RuntimeInvocation.effect(scope, f"{number}", kind, f"{place}:{kind.value}:{number}")


def tool_call_invocation(parent: RuntimeInvocation, call_id: str) -> RuntimeInvocation:
    """A tool call of a turn's effect."""
    return _child(parent, RuntimeEffectKind.TOOL_CALL, call_id)


def tool_retry_sleep_invocation(parent: RuntimeInvocation, tool: str, attempt: int) -> RuntimeInvocation:
    """The sleep before an attempt of a tool call is repeated."""
    return _child(parent, RuntimeEffectKind.SLEEP, f"{tool}:attempt:{attempt}:sleep")


def lashlang_sleep_invocation(
    parent: RuntimeInvocation | None, session_id: str, where: str, number: int
) -> RuntimeInvocation:
    """The `number`-th sleep (from 0) of a program's run; `where` is `process:<process id>` or `foreground`."""
    own = f"lashlang:{where}:sleep:{number}"
    if parent is not None:
        return _child(parent, RuntimeEffectKind.SLEEP, own)
    return RuntimeInvocation.effect(RuntimeScope(session_id), own, RuntimeEffectKind.SLEEP, own)


def process_command_invocation(
    command: ProcessCommand, session_id: str, parent: RuntimeInvocation | None = None
) -> RuntimeInvocation:
    """A process command of a session, asked for by the effect `parent` or by nobody."""
    effect_id = process_command_effect_id(command)
    scope = RuntimeScope(session_id)
    if parent is None:
        return RuntimeInvocation.effect(scope, effect_id, RuntimeEffectKind.PROCESS, f"{session_id}:{effect_id}")
    above = parent.scope
    if above.turn_id is not None:
        scope = RuntimeScope(session_id, above.turn_id, above.turn_index, above.protocol_iteration)
    key = f"{parent.replay.key if parent.replay else RuntimeEffectKind.PROCESS.value}:{effect_id}"
    subject = RuntimeSubjectEffect(effect_id, RuntimeEffectKind.PROCESS)
    return RuntimeInvocation(scope, subject, parent.as_cause(), RuntimeReplay(key))


def direct_call_invocation(
    session_id: str, turn_id: str | None, usage_source: str, discriminator: str, cause: CausalRef | None = None
) -> RuntimeInvocation:
    """A direct model call; `discriminator` as of `direct_call_discriminator`."""
    place = f"{session_id}:{turn_id}" if turn_id else session_id
    subject = RuntimeSubjectEffect(discriminator, RuntimeEffectKind.DIRECT)
    key = f"{place}:direct:{usage_source}:{discriminator}"
    return RuntimeInvocation(RuntimeScope(session_id, turn_id), subject, cause, RuntimeReplay(key))


def direct_call_discriminator(request: Any, explicit_key: str = "", cause: CausalRef | None = None) -> str:
    """What tells a direct model call from the others of its turn: an explicit key, or its request.

    Raises EffectRefused (`runtime_effect_discriminator`) for a request that has no JSON form.
    """
    prefix = "" if cause is None else _cause_prefix(cause)
    if explicit_key:
        return f"{prefix}request:{explicit_key}"
    try:
        text = json_text.compact(stored_form(request, REQUEST, hashed=True))
    except Unfit as unfit:
        raise EffectRefused(
            "runtime_effect_discriminator", f"the request has no JSON form: at {unfit.path}: {unfit.reason}"
        ) from None
    return f"{prefix}sha256:{hashlib.sha256(text).hexdigest()}"


def _child(parent: RuntimeInvocation, kind: RuntimeEffectKind, name: str) -> RuntimeInvocation:
    subject = parent.subject
    effect_id = subject.effect_id if isinstance(subject, RuntimeSubjectEffect) else _NAMELESS
    key = parent.replay.key if parent.replay else effect_id
    return RuntimeInvocation(
        parent.scope,
        RuntimeSubjectEffect(f"{effect_id}:{name}", kind),
        parent.as_cause(),
        RuntimeReplay(f"{key}:{name}"),
    )


def _cause_prefix(cause: CausalRef) -> str:
    ids = [getattr(cause, field) for field in cause.__struct_fields__ if field != "other_keys"]
    return ":".join(
        ["cause", str(cause.__struct_config__.tag), *("" if each is None else f"{each}" for each in ids), ""]
    )

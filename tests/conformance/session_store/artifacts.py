"""A module artifact as upstream's language would write it: compact JSON, opaque to the store (specification 3.18)."""

import json
from typing import Any, Final

MODULE_REF: Final = f"lashlang:v1:sha256:{'1' * 64}"
SURFACE_REF: Final = f"lashlang-surface:v1:sha256:{'2' * 64}"


def artifact(module_ref: str = MODULE_REF, **more: Any) -> bytes:
    """An artifact that exports the process `scan`."""
    plain = {
        "module_ref": module_ref,
        "required_surface_ref": SURFACE_REF,
        "required_surface": {"modules": []},
        "exports": {"processes": {"scan": {"component": f"{module_ref}#scan", "pos": 0}}},
        "canonical_ir": {"z": 1.0, "a": "é"},
        **more,
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


ARTIFACT: Final = artifact()

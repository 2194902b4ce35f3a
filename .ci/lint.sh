#!/usr/bin/env bash
# Style, types, shell scripts, workflows, and the C code with all warnings as errors.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install -q -e '.[test,bench,dev]'

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/shellcheck .ci/run .ci/*.sh
.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
.venv/bin/zizmor --offline --quiet --color never --config .github/zizmor.yml .github/workflows

include=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    for source in lash_store/*/src/*.c lash_store/*/*/src/*.c; do
        "$compiler" -Wall -Wextra -Wshadow -Wstrict-prototypes -Wundef -Wvla -Werror -O2 -fPIC -fvisibility=hidden \
            -DPy_LIMITED_API=0x030B0000 -isystem "$include" -c "$source" -o /dev/null
    done
    echo "$compiler: no warnings"
done

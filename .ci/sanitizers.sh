#!/usr/bin/env bash
# The test suite on the C module built with AddressSanitizer and UBSan, in a copy of the checkout with its own venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.ci/copy_tree.sh "$work/tree"
cd "$work/tree"

python3 -m venv .venv
CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1 -DLASH_SANITIZERS=\"address,undefined\"' \
    .venv/bin/pip install -q --no-cache-dir -e '.[test,bench]'

# Python itself is not instrumented, so the sanitizers' libraries must be there first. Its small-object allocator would
# hide overruns from them. Leaks are not looked for: the interpreter frees little when it ends.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:strict_string_checks=1:quarantine_size_mb=1 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    PYTHONMALLOC=malloc \
    LASH_STORE_NATIVE=c \
    LASH_STORE_EXPECT_SANITIZERS=1 \
    .venv/bin/python -m pytest

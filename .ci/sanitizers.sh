#!/usr/bin/env bash
# The C modules built with AddressSanitizer and UBSan under the tests that drive them: executor, log, codecs and encoder
# from every side, and the stores on top. In a copy of the checkout with its own venv.
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
    .venv/bin/python -m pytest tests/sqlite tests/codecs tests/golden tests/crash tests/conformance/session_store \
    tests/records/test_encoder.py tests/records/test_encoder_module.py tests/test_sanitizers.py tests/test_symbols.py

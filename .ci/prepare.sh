#!/usr/bin/env bash
# See that there are a C compiler and a Python with its headers and venv; on Debian, as root, install what is missing.
set -euo pipefail

complete() {
    command -v gcc >/dev/null &&
        python3 -c 'import ensurepip, venv' 2>/dev/null &&
        python3 -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'
}

if ! complete && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gcc libc6-dev python3 python3-dev python3-venv
fi
complete || {
    echo "Needed: gcc, and python3 with venv and its C headers" >&2
    exit 1
}
gcc --version | head -n 1
python3 --version

#!/usr/bin/env bash
# Build sdist and wheel, look into both, and use each in a clean venv outside the checkout: the wheel on every Python
# that is here, the sdist with a compiler and without.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unset LASH_STORE_NATIVE

checkout=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.ci/copy_tree.sh "$work/tree"
cp .ci/smoke.py "$work"
cd "$work"

python3 -m venv tools
tools/bin/pip install -q abi3audit build twine
tools/bin/python -m build --outdir dist tree >build.log 2>&1 || {
    cat build.log
    exit 1
}
tools/bin/python "$checkout/.ci/check_dist.py" "$checkout" dist/*.whl dist/*.tar.gz
tools/bin/twine check --strict dist/*
tools/bin/abi3audit --strict --assume-minimum-abi3 3.11 dist/*.whl

# smoke IMPLEMENTATION PYTHON WHAT [ENVIRONMENT...]: install WHAT into a new venv of PYTHON, and commit with it.
smoke() {
    local expected=$1 python=$2 what=$3
    shift 3
    rm -rf venv
    "$python" -m venv venv
    env "$@" venv/bin/pip install -q --no-cache-dir "$what"
    venv/bin/python smoke.py "$expected"
}

echo "wheel:"
for python in python3 python3.1{2,3,4} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1{2,3,4}.*/bin/python; do
    if "$python" -c '' 2>/dev/null; then smoke c "$python" dist/*.whl; fi
done
echo "sdist:"
smoke c python3 dist/*.tar.gz
echo "sdist, no compiler:"
smoke python python3 dist/*.tar.gz CC=false

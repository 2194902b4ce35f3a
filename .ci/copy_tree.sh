#!/usr/bin/env bash
# Copy what git does not ignore, committed or not, to a new folder: copy_tree.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p "$1"
git -c safe.directory='*' ls-files --cached --others --exclude-standard -z |
    while IFS= read -r -d '' file; do
        if [ -e "$file" ]; then printf '%s\0' "$file"; fi
    done |
    tar --null --files-from=- -cf - | tar -C "$1" -xf -

#!/usr/bin/env bash
# The rules are pure: what they depend on must be what chaincode/rules/dependencies.txt says. After a wanted change:
#   scripts/check-rules-dependencies.sh --write
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

list() { cargo tree --locked -p healthchain-rules -e normal --prefix none --format '{p}' | sed -E 's/ .*//' | LC_ALL=C sort -u; }

if [ "${1:-}" = --write ]; then
    list >chaincode/rules/dependencies.txt
else
    diff <(list) chaincode/rules/dependencies.txt || {
        echo "chaincode/rules depends on something else than before. If that is wanted: scripts/check-rules-dependencies.sh --write" >&2
        exit 1
    }
fi

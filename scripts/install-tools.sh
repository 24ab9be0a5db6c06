#!/usr/bin/env bash
# Makes sure of the programs that building and testing need.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/lib/tools.sh"

need_rust
if ! cargo fmt --version || ! cargo clippy --version; then rustup component add rustfmt clippy; fi
need cc=gcc make=make perl=perl shellcheck=shellcheck node=nodejs npm=npm curl=curl softhsm2-util=softhsm2 python3=python3 chromium=chromium
# The tests start a server of their own; Debian keeps its programs off PATH, so another of the package's is looked for.
need pg_ctlcluster=postgresql

# The OpenID provider and the clients that the gateway's tests drive.
npm ci --no-fund --no-audit --prefix gateway/tests/node
# Debian's python3 has venv, but not always pip for it.
python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv

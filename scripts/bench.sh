#!/usr/bin/env bash
# The benchmarks on one ledger: scripts/bench.sh embedded|fabric [--many LINKS …]
# Each has a peer beside it in the same run and prints a ratio. 100,000 links take a quarter of an hour or more to publish.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

ledger=${1:?embedded or fabric}
shift
cargo build --release --workspace --bins --locked
programs=${CARGO_TARGET_DIR:-target}/release
stop_network() { "$programs/healthchain-network" --dir "$programs/bench-$ledger" down >/dev/null; }
trap stop_network EXIT
trap 'exit 130' INT TERM
HEALTHCHAIN_LEDGER=$ledger "$programs/healthchain-bench" "$@"

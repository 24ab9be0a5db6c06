#!/usr/bin/env bash
# The end-to-end tests on one ledger: scripts/test-end-to-end.sh embedded|fabric|dev [options of the test runner]
# They start a network of their own (own folder, own ports) and remove it, whatever happens. After a failure its files stay.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
source scripts/lib/network.sh

ledger=${1:?embedded, fabric or dev}
shift
for client in own-key-client tus-client events-client; do
    npm ci --no-fund --no-audit --prefix "end-to-end/$client"
done
cargo build --workspace --bins --locked
on_ledger "$ledger" "${CARGO_TARGET_DIR:-target}/debug" network healthchain-end-to-end "$@"

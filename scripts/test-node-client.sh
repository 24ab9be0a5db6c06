#!/usr/bin/env bash
# The official Node client of Hyperledger Fabric against the embedded ledger.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

npm ci --no-fund --no-audit --prefix end-to-end/node-client
cargo run --locked -p fabric-embedded --example sandbox -- npm test --prefix end-to-end/node-client

#!/usr/bin/env bash
# Sets up what the tests need and passes them: format, lints, documentation, unit and contract tests, then the end-to-end tests
# on the embedded ledger and, where Fabric's programs are in FABRIC_BIN or on PATH, on Fabric. Logs: target/test-logs/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
source scripts/lib/tools.sh
source scripts/lib/steps.sh

steps_into target/test-logs
step "tools" scripts/install-tools.sh
step "format" cargo fmt --all --check
step "shell scripts" scripts/check-shell.sh
step "the rules name only their three libraries" scripts/check-rules-dependencies.sh
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
test_step "unit and contract tests" cargo test --workspace --exclude healthchain-end-to-end --locked
step "programs" cargo build --workspace --bins --locked
test_step "end to end on the embedded ledger" scripts/test-end-to-end.sh embedded
test_step "end to end in one process" scripts/test-end-to-end.sh dev
test_step "the official Node client on the embedded ledger" scripts/test-node-client.sh
test_step "openapi.json: validity, a TypeScript client, every operation" scripts/test-openapi.sh
if fabric_is_here; then
    test_step "end to end on Fabric" scripts/test-end-to-end.sh fabric
else
    echo "NOT RUN: the end-to-end tests on Fabric, because peer, orderer, configtxgen and osnadmin are neither in FABRIC_BIN nor on PATH."
fi
totals

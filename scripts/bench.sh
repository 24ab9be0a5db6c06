#!/usr/bin/env bash
# The benchmarks: scripts/bench.sh LEDGER [BENCHMARK [options]], on the ledger embedded or fabric. Without a name they run one after the other:
# rest, revocation, page, and on the embedded ledger also encryption and dev, which need no network. Publishing the 100,000 links of page takes most of
# the time; `--help` behind a name tells its options. docs/figures.md has what they said.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
source scripts/lib/tools.sh
source scripts/lib/network.sh

ledger=${1:?embedded or fabric}
shift
need_rust
need node=nodejs npm=npm openssl=openssl
npm ci --silent --no-fund --no-audit --prefix end-to-end/node-client
cargo build --release --workspace --bins --locked
programs=${CARGO_TARGET_DIR:-target}/release

printf '%s, commit %s, ' "$(date -u +%Y-%m-%d)" "$(git rev-parse --short HEAD)"
printf '%s cores of %s\n' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
if [ $# -gt 0 ]; then
    on_ledger "$ledger" "$programs" bench healthchain-bench "$@"
else
    benchmarks=(rest revocation page)
    [ "$ledger" = fabric ] || benchmarks=(encryption dev "${benchmarks[@]}")
    for benchmark in "${benchmarks[@]}"; do
        printf '\n## %s\n\n' "$benchmark"
        on_ledger "$ledger" "$programs" bench healthchain-bench "$benchmark"
    done
fi

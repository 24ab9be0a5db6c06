#!/usr/bin/env bash
# The only door to the network on this machine: builds what the network is made of, then hands over to
# healthchain-network. `./test-network.sh --help` tells the verbs.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$root/scripts/lib/tools.sh"
need_rust
need cc=gcc make=make perl=perl

# Tells what is compiled; nothing when everything is fresh.
cargo build --release --locked --manifest-path "$root/Cargo.toml" --bins \
    -p fabric-embedded -p healthchain-chaincode -p healthchain-gateway -p healthchain-network 2>&1 |
    { grep --line-buffered -vE '^ *Finished ' >&2 || true; }

export HEALTHCHAIN_NETWORK_DIR=${HEALTHCHAIN_NETWORK_DIR:-$root/.network}
export HEALTHCHAIN_CONSORTIUM=${HEALTHCHAIN_CONSORTIUM:-$root/network/consortium.toml}
exec "${CARGO_TARGET_DIR:-$root/target}/release/healthchain-network" "$@"

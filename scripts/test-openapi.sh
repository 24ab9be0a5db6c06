#!/usr/bin/env bash
# openapi.json, held to what it says: scripts/test-openapi.sh
# The document is valid OpenAPI 3.1; a TypeScript client made from it works against a running network on the embedded ledger; and every
# operation keeps to it (Schemathesis), whatever is sent. The network is a new one, with own ports, and is removed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

cargo build --workspace --bins --locked
programs=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)
tools=${CARGO_TARGET_DIR:-target}/openapi-tools
# Fewer examples an operation find less; a run by hand may ask for more.
examples=${OPENAPI_EXAMPLES:-2}
network=$programs/network-openapi
seed=${OPENAPI_SEED:-1}

[ -x "$tools/bin/schemathesis" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --requirement end-to-end/openapi/requirements.txt

"$tools/bin/openapi-spec-validator" gateway/openapi.json
echo "test result: ok. 1 passed; 0 failed; the document is valid OpenAPI"

healthchain_network() { "$programs/healthchain-network" --dir "$network" "$@"; }
clean() { healthchain_network clean >/dev/null; }
trap clean EXIT
trap 'exit 130' INT TERM
clean
healthchain_network --port-offset 11000 up --ledger embedded

npm ci --no-fund --no-audit --prefix end-to-end/typescript-client
HEALTHCHAIN_STATUS=$(healthchain_network status --json)
export HEALTHCHAIN_STATUS HEALTHCHAIN_NETWORK_DIR=$network
npm test --prefix end-to-end/typescript-client

# port_of ORGANISATION : where its gateway listens.
port_of() {
    node -e 'console.log(JSON.parse(process.env.HEALTHCHAIN_STATUS).find(({name}) => name === process.argv[1]).ports[0])' "gateway.$1"
}

# try_as ORGANISATION MEMBER : every operation, with what the document allows and with what it does not.
try_as() {
    local organisation=$network/organisations/$1 member=$network/organisations/$1/members/$2 log=$network/schemathesis-$2.log
    "$tools/bin/schemathesis" --config-file end-to-end/openapi/schemathesis.toml run "https://localhost:$(port_of "$1")/openapi.json" \
        --tls-verify "$organisation/tls-root.pem" \
        --request-cert "$member/tls-certificate.pem" --request-cert-key "$member/tls-key.pem" \
        --max-examples "$examples" --seed "$seed" --workers 1 | tee "$log"
    local tested
    tested=$(sed -n 's/^ *Tested: *//p' "$log" | head -n 1)
    [ "${tested:-0}" -gt 100 ] || { echo "Schemathesis tested ${tested:-no} operations"; return 1; }
    echo "test result: ok. $tested passed; 0 failed; operations as $2"
}
try_as hospital hospital-clinician

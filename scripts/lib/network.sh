# shellcheck shell=bash
# Programs that start a network of their own, in a folder beside them.

# on_ledger LEDGER PROGRAMS FOLDER PROGRAM … : runs a program of the folder PROGRAMS on a ledger; the network that it starts in FOLDER is stopped,
# whatever happens.
on_ledger() {
    local ledger=$1
    programs=$2
    network_folder=$programs/$3-$ledger
    trap stop_network EXIT
    trap 'exit 130' INT TERM
    HEALTHCHAIN_LEDGER=$ledger "$programs/$4" "${@:5}"
}

stop_network() { "$programs/healthchain-network" --dir "$network_folder" down >/dev/null; }

# shellcheck shell=bash
# The programs that a script needs: installed from Debian's packages where we may, else named with what to do.

# need PROGRAM=PACKAGE … : makes sure that each PROGRAM is on PATH.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# install_packages PACKAGE … : installs Debian packages where we may, else names them.
install_packages() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if command -v apt-get >/dev/null && { [ ${#as_root[@]} -eq 0 ] || sudo -n true 2>/dev/null; }; then
        echo "installing $*"
        "${as_root[@]}" apt-get update -qq
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@"
    else
        echo "missing: $*. Install these packages and run this again." >&2
        return 1
    fi
}

# need_rust : makes sure of cargo.
need_rust() {
    command -v cargo >/dev/null || {
        echo "missing: Rust. Install it as https://rustup.rs says and run this again." >&2
        return 1
    }
}

# fabric_is_here : whether Fabric's programs are in FABRIC_BIN or on PATH.
fabric_is_here() {
    local program
    for program in peer orderer configtxgen osnadmin; do
        PATH="${FABRIC_BIN:+$FABRIC_BIN:}$PATH" command -v "$program" >/dev/null || return 1
    done
}

# shellcheck shell=bash
# Runs the parts of a long job one after the other: one line a part with its seconds; a part that fails is named, with the end
# of its log.

# steps_into FOLDER : forgets what ran before and writes the logs there.
steps_into() {
    logs=$1
    steps_done=0
    summaries=()
    rm -rf "$logs"
    mkdir -p "$logs"
}

# step NAME COMMAND … : runs COMMAND with its output in a log.
step() {
    local name=$1 started=$SECONDS log
    shift
    steps_done=$((steps_done + 1))
    log=$logs/$(printf '%02d' "$steps_done")-${name//[^A-Za-z0-9]/-}.log
    printf '%2d  %s …\n' "$steps_done" "$name"
    if "$@" >"$log" 2>&1 </dev/null; then
        printf '    ok, %d s\n' $((SECONDS - started))
    else
        local code=$?
        printf '\n%s FAILED (exit code %d, %d s). The end of %s:\n\n' "$name" "$code" $((SECONDS - started)) "$log"
        tail -n 80 "$log"
        printf '\n%s FAILED. Its whole log: %s\n' "$name" "$log"
        exit 1
    fi
    last_log=$log
}

# test_step NAME COMMAND … : a step whose test runner's summary lines are shown, and added up by `totals`.
test_step() {
    step "$@"
    local found
    found=$(grep -hE '^(test result:|ℹ (pass|fail)) ' "$last_log" || true)
    [ -n "$found" ] || { echo "$1 ran no test"; exit 1; }
    printf '%s\n' "$found" | grep -v ' 0 passed; 0 failed' | sed 's/^/    /'
    summaries+=("$found")
}

# totals : 'N passed, N failed' over all test steps.
totals() {
    printf '%s\n' "${summaries[@]}" | awk '
        /^test result:/ { passed += $4; failed += $6; ignored += $8 }
        /^ℹ pass /      { passed += $3 }
        /^ℹ fail /      { failed += $3 }
        END { printf "%d passed, %d failed", passed, failed; if (ignored) printf ", %d skipped", ignored; print "" }'
}

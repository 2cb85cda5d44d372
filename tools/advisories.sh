#!/usr/bin/env bash
# Checks what is depended on against the RustSec advisory database. Exit code 0: nothing is known; 1: something is, as
# listed; 3: the database cannot be had, so nothing was checked and nothing is said.
# CARGO_DENY names the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deny=${CARGO_DENY:?"CARGO_DENY names cargo-deny"}
if ! said=$("$deny" --log-level error fetch db 2>&1); then
	echo "not checked: the advisory database cannot be had here, so whether anything is known stays open" >&2
	sed 's/^/  /' <<<"$said" >&2
	echo "  Run it where github.com can be reached; the workflow 'advisories' does so every day." >&2
	exit 3
fi
if ! "$deny" --offline --log-level warn check advisories; then
	echo "found: something that is depended on has a known fault, as listed above." >&2
	echo "  Update it (cargo update --package NAME), or note in deny.toml under [advisories] why it does not matter here." >&2
	exit 1
fi
echo "checked: nothing is known of what is depended on"

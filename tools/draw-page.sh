#!/usr/bin/env bash
# Draws the pictures of docs/page.md and README.md anew: `kubectl sfn ui` on a control plane of its own, in a real Chromium. Needs what
# tools/install-testbed.sh provides; makes the pictures small where pngquant is installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pictures=$here/docs/images
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT

cd "$here"
cargo build --quiet --locked --bin kubectl-sfn --example page
"${CARGO_TARGET_DIR:-target}/debug/examples/page" --into "$all"
mkdir -p "$pictures"
for name in workflows-dark runs runs-narrow run run-dark workflow trust-dark; do
	picture=$pictures/page-$name.png
	cp "$all/page-$name.png" "$picture"
	if command -v pngquant >/dev/null 2>&1; then
		pngquant --force --skip-if-larger --quality 70-95 --output "$picture" "$picture" || [ $? = 98 ]
	fi
done
echo "the pictures are in $pictures"

#!/usr/bin/env bash
# Records the terminal pictures of the documentation anew: the demo (make demo) with its real control plane, operator and AWS
# emulator, and `kubectl sfn run` in a pseudo terminal. Writes docs/images/run.cast, which asciinema plays too, and run.svg.
# Needs what tools/install-testbed.sh provides, and python3.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
assets=$(tools/install-testbed.sh)
cargo build --quiet --locked --bin stepbound --bin kubectl-sfn --example demo
built=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)
folder=$(mktemp -d)
mkfifo "$folder/enter"
KEEP=1 "$built/examples/demo" <"$folder/enter" >"$folder/said" 2>&1 &
demo=$!
exec 3>"$folder/enter"
# The demo takes everything down once it is let go.
trap 'exec 3>&-; wait "$demo" || true; rm -rf "$folder"' EXIT

until kubeconfig=$(sed -n 's/^ *export KUBECONFIG=//p' "$folder/said") && [ -n "$kubeconfig" ]; do
	kill -0 "$demo" 2>/dev/null || {
		cat "$folder/said" >&2
		echo "error: the demo did not come up" >&2
		exit 1
	}
	sleep 1
done
# As somebody has it who works in the namespace shop.
cp "$kubeconfig" "$folder/kubeconfig"
export KUBECONFIG=$folder/kubeconfig PATH=$assets:$built:$PATH
kubectl config set-context --current --namespace shop >/dev/null
mkdir -p docs/images
tools/terminal/record.py --columns 104 --rows 60 "$folder/run.cast" -- \
	kubectl sfn run fulfil --set 'orderId=1,amount=12.5,items[0]=book' --watch
tools/terminal/picture.py "$folder/run.cast" >"$folder/run.svg"
cp "$folder/run.cast" "$folder/run.svg" docs/images/
echo "the recording is docs/images/run.cast, and its picture docs/images/run.svg"

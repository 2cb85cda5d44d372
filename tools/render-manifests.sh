#!/usr/bin/env bash
# Prints the operator's manifests as `kubectl apply` takes them: the chart with its defaults, without Helm's marks.
# With --all the namespace and the definitions come before it, as dist/install.yaml has them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
helm=$("$root/tools/install-testbed.sh")/helm
unset AWS_CA_BUNDLE
if [ "${1:-}" = --all ]; then
	cat "$root/deploy/kustomize/base/namespace.yaml"
	for definition in "$root"/crds/*.stepbound.dev.yaml; do
		echo ---
		cat "$definition"
	done
fi
"$helm" template stepbound "$root/charts/stepbound" -n stepbound-system --kube-version 1.33.0 --set uninstallCheck.enabled=false |
	sed -e '/^# Source: /d' -e '/helm.sh\/chart: /d' -e '/managed-by: Helm/d'

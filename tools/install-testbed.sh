#!/usr/bin/env bash
# Builds what tests and the demo run against, into a per-user cache, and prints nothing where all is there.
#
#   control plane  etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl   (from tools/etcd, tools/kubernetes)
#   kwok           plays nodes and makes pods ready (from tools/kwok)
#   helm           from tools/helm
#   kubeconform    from tools/kubeconform
#   prometheus     the definitions of ServiceMonitor and PrometheusRule (from tools/prometheus-operator)
#   gitops-verdict what the libraries of Argo CD and Flux say of an object (from tools/gitops)
#   yaml-to-json   kubectl's reader of YAML, to compare ours with (from tools/yaml)
#   cron-times     the schedules of CronJob's library, to compare ours with (from tools/cron)
#   ministack      the AWS emulator, in a Python virtual environment
#   axe-core       checks pages for people who cannot see or point (from npm, by its hash)
#   chromium       the browser of the page's tests, by apt where this is root; else they say that it is missing
#   keycloak       an OpenID provider, from Maven Central; passed over where there is no Java
#
# KUBEBUILDER_ASSETS, where set, takes the place of the built control plane.
# STEPBOUND_CACHE moves the cache (default: $XDG_CACHE_HOME/stepbound or ~/.cache/stepbound).
# The last line on standard output is the cache folder of these versions.
#
# With --kubernetes VERSION it builds the control plane of another version alone and prints its folder, for KUBEBUILDER_ASSETS.
#
# Each thing has a lock of its own, and so has each other version: whoever needs one waits for whoever builds it, and nobody
# else does.
set -euo pipefail

kubernetes_version=v1.37.2
kubernetes_commands=(kube-apiserver kube-controller-manager kube-scheduler kubectl)
ministack_version=1.5.33
# cbor2: the protocol that CloudWatch's clients speak.
ministack_dependencies="cryptography==45.0.7 cbor2==6.3.0"

keycloak_version=26.7.3
axe_version=4.14.1
axe_integrity=sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${STEPBOUND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stepbound}
binaries=$cache/bin-$(cat "$here"/{etcd,helm,kubernetes}/go.mod "$here"/{etcd,helm,kubernetes}/go.sum | sha256sum | cut -c1-12)
# Small and changed more often than what they stand beside: their names say of which sources they are.
kubeconform=kubeconform-$(cat "$here"/kubeconform/* | sha256sum | cut -c1-12)
kwok=kwok-$(cat "$here"/kwok/* | sha256sum | cut -c1-12)
prometheus=prometheus-operator-$(cat "$here"/prometheus-operator/* | sha256sum | cut -c1-12)
gitops_verdict=gitops-verdict-$(cat "$here"/gitops/* | sha256sum | cut -c1-12)
yaml_to_json=yaml-to-json-$(cat "$here"/yaml/* | sha256sum | cut -c1-12)
cron_times=cron-times-$(cat "$here"/cron/* | sha256sum | cut -c1-12)
venv=$cache/ministack-$ministack_version-$(sha256sum <<<"$ministack_dependencies" | cut -c1-12)
keycloak=$cache/keycloak-$keycloak_version
axe=axe-core-$axe_version.js
# Locks, and what the builds print.
building=$cache/building

# Tools made for another trust store break the Go and Python clients.
unset AWS_CA_BUNDLE

need() {
	command -v "$1" >/dev/null 2>&1 || {
		echo "error: '$1' is not installed; $2" >&2
		exit 1
	}
}

step() { # NAME MESSAGE EXPECTED-TIME COMMAND...
	local log=$building/$1.log message=$2 expected=$3 started=$SECONDS
	shift 3
	printf '  %-44s (about %s) ... ' "$message" "$expected" >&2
	if ! "$@" >"$log" 2>&1; then
		printf 'failed\n' >&2
		tail -n 30 "$log" >&2
		echo "error: '$message' failed; the whole output is in $log" >&2
		exit 1
	fi
	printf '%ds\n' $((SECONDS - started)) >&2
}

locked() { # NAME COMMAND...
	local lock=$building/$1.lock
	shift
	(
		flock 9
		"$@"
	) 9>"$lock"
}

# Builds what is not there, and looks again once nobody else builds it.
provide() { # PLACE MESSAGE EXPECTED-TIME COMMAND...
	local place=$1 name=${1#"$cache"/}
	shift
	name=${name//\//-}
	[ -e "$place" ] || locked "$name" step_without "$place" "$name" "$@"
}

step_without() { # PLACE NAME MESSAGE EXPECTED-TIME COMMAND...
	local place=$1
	shift
	[ -e "$place" ] || step "$@"
}

# Built beside its place and moved there, so that an interrupted build leaves nothing half made. A step is looked at for its
# success, and there Bash goes on after a command that failed: what builds in more than one command joins them with &&.
go_build() { # MODULE PACKAGE NAME [LDFLAGS]
	(cd "$here/$1" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${4:-}" -o "$binaries/.$3" "$2") &&
		mv "$binaries/.$3" "$binaries/$3"
}

# kubectl and Helm parse the server's version, so it has to be stamped.
kubernetes_flags() { # VERSION
	local minor=${1#v1.}
	echo "-X k8s.io/component-base/version.gitVersion=$1 -X k8s.io/component-base/version.gitMajor=1" \
		"-X k8s.io/component-base/version.gitMinor=${minor%%.*}"
}

kubernetes_build() { # COMMAND
	go_build kubernetes "k8s.io/kubernetes/cmd/$1" "$1" "$(kubernetes_flags "$kubernetes_version")"
}

# The module of the pinned version with the numbers of another one. What it needs besides follows from that version's own
# requirements; Go checks it against its checksum database.
other_module() { # VERSION FOLDER
	local pinned=${kubernetes_version#v1.} other=${1#v1.}
	mkdir -p "$2"
	{
		sed -n -e '/^module/p' -e '/^go /p' -e '/^tool (/,/^)/p' -e '/^replace (/,/^)/p' "$here/kubernetes/go.mod" |
			sed -e "s/v0\.${pinned//./\\.}/v0.$other/"
		echo "require k8s.io/kubernetes $1"
	} >"$2/.go.mod"
	mv "$2/.go.mod" "$2/go.mod"
}

other_kubernetes_build() { # VERSION FOLDER COMMAND
	(cd "$2/module" && CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w $(kubernetes_flags "$1")" \
		-o "$2/.$3" "k8s.io/kubernetes/cmd/$3") &&
		mv "$2/.$3" "$2/$3"
}

# The commands of a version share a module, which a build may complete: they are built one after the other.
other_commands() { # VERSION FOLDER
	local name
	[ -f "$2/module/go.mod" ] || other_module "$1" "$2/module"
	for name in "${kubernetes_commands[@]}"; do
		[ -x "$2/$name" ] || step "kubernetes-$1" "$name $1" 3m other_kubernetes_build "$1" "$2" "$name"
	done
}

# Prints the folder of another version's control plane.
other_kubernetes() { # VERSION
	local version=v${1#v} folder=$cache/kubernetes-${1#v}
	[[ $version =~ ^v1\.[0-9]+\.[0-9]+$ ]] || {
		echo "error: '$1' is no version of Kubernetes; give one like 1.34.4" >&2
		exit 1
	}
	need go "install Go 1.26 or newer"
	mkdir -p "$folder"
	locked "kubernetes-$version" other_commands "$version" "$folder"
	ln -sf "$binaries/etcd" "$folder/etcd"
	echo "$folder"
}

# Of a program that is not built: only its definitions are wanted.
prometheus_definitions() {
	local folder
	folder=$(cd "$here/prometheus-operator" && go mod download -json github.com/prometheus-operator/prometheus-operator |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
	rm -rf "$binaries/.$prometheus" && mkdir -p "$binaries/.$prometheus" &&
		install -m 644 "$folder"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
			"$binaries/.$prometheus/" &&
		mv "$binaries/.$prometheus" "$binaries/$prometheus"
}

# One file of the package, and only where the package is the one that is meant.
axe_core() {
	local folder=$binaries/.$axe
	rm -rf "$folder" && mkdir -p "$folder" &&
		npm pack --silent "axe-core@$axe_version" --pack-destination "$folder" &&
		[ "sha512-$(openssl dgst -sha512 -binary "$folder"/axe-core-*.tgz | base64 -w0)" = "$axe_integrity" ] &&
		tar -xzf "$folder"/axe-core-*.tgz -C "$folder" package/axe.min.js &&
		mv "$folder/package/axe.min.js" "$binaries/$axe" && rm -rf "$folder"
}

browser() {
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
}

has_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1

make_venv() {
	# Scripts in a virtual environment hold absolute paths: only python itself is used after the move.
	# shellcheck disable=SC2086 # a list of requirements
	rm -rf "$venv.partial" "$venv" && python3 -m venv "$venv.partial" &&
		"$venv.partial/bin/pip" install --quiet "ministack==$ministack_version" $ministack_dependencies &&
		mv "$venv.partial" "$venv"
}

# The first start compiles Keycloak's configuration in; done here once, each later start takes a quarter of the time.
make_keycloak() {
	local partial=$cache/keycloak.partial port=18443
	rm -rf "$partial"
	mkdir -p "$partial"
	mvn --quiet --batch-mode -Dmaven.repo.local="$partial/repository" \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
		-Dartifact="org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" -DoutputDirectory="$partial"
	rm -rf "$partial/repository"
	python3 -m zipfile -e "$partial/keycloak-quarkus-dist-$keycloak_version.zip" "$partial"
	JAVA_OPTS_KC_HEAP="-Xms64m -Xmx384m" timeout 900 bash "$partial/keycloak-$keycloak_version/bin/kc.sh" start-dev \
		--http-host=127.0.0.1 --http-port=$port --hostname=http://127.0.0.1:$port >"$partial/first-start.log" 2>&1 &
	local started=$! waited=0
	until grep -q "Listening on" "$partial/first-start.log"; do
		kill -0 "$started" && [ $((waited += 1)) -lt 900 ] || { cat "$partial/first-start.log"; return 1; }
		sleep 1
	done
	kill "$started"
	wait "$started" || true
	rm -rf "$partial/keycloak-$keycloak_version/data/h2"
	mv "$partial/keycloak-$keycloak_version" "$keycloak"
	rm -rf "$partial"
}

mkdir -p "$binaries" "$building"
if [ "${1:-}" = --kubernetes ]; then
	other_kubernetes "${2:?give a version after --kubernetes}"
	exit
fi

have() { [ -x "$binaries/$1" ]; }
control_plane_missing=no
for name in etcd "${kubernetes_commands[@]}"; do have "$name" || control_plane_missing=yes; done

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	control_plane_missing=no
fi
if [ "$control_plane_missing" = yes ] || ! have helm || ! have "$yaml_to_json" || ! have "$cron_times" ||
	! have "$kubeconform" || ! have "$gitops_verdict" || ! have "$kwok" || ! have "$prometheus"; then
	need go "install Go 1.26 or newer, or set KUBEBUILDER_ASSETS to a folder with the control plane"
	echo "Building the test bed once, into $cache" >&2
fi

provide_binary() { # NAME MESSAGE EXPECTED-TIME COMMAND...
	provide "$binaries/$@"
}
if [ "$control_plane_missing" = yes ]; then
	provide_binary etcd "etcd" 20s go_build etcd go.etcd.io/etcd/server/v3 etcd
	provide_binary kube-apiserver "kube-apiserver $kubernetes_version" 3m20s kubernetes_build kube-apiserver
	provide_binary kube-controller-manager "kube-controller-manager $kubernetes_version" 1m10s kubernetes_build kube-controller-manager
	provide_binary kube-scheduler "kube-scheduler $kubernetes_version" 20s kubernetes_build kube-scheduler
	provide_binary kubectl "kubectl $kubernetes_version" 30s kubernetes_build kubectl
fi
provide_binary helm "helm" 1m go_build helm helm.sh/helm/v4/cmd/helm helm
provide_binary "$yaml_to_json" "kubectl's YAML reader" 5s go_build yaml . "$yaml_to_json"
provide_binary "$cron_times" "CronJob's schedules" 5s go_build cron . "$cron_times"
provide_binary "$kubeconform" "kubeconform" 10s go_build kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$kubeconform"
provide_binary "$kwok" "kwok" 50s go_build kwok sigs.k8s.io/kwok/cmd/kwok "$kwok"
provide_binary "$prometheus" "definitions of the Prometheus operator" 5s prometheus_definitions
provide_binary "$gitops_verdict" "what GitOps engines say of an object" 20s go_build gitops . "$gitops_verdict"
if [ ! -e "$binaries/$axe" ] && command -v npm >/dev/null 2>&1; then
	provide_binary "$axe" "axe-core $axe_version" 5s axe_core
fi
if ! has_browser && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	locked browser step browser "chromium (the browser of the page's tests)" 1m browser
fi
if [ ! -x "$venv/bin/python" ]; then
	need python3 "install Python 3.10 or newer with its venv module"
	provide "$venv/bin/python" "ministack $ministack_version (AWS emulator)" 20s make_venv
fi
if [ ! -d "$keycloak" ] && command -v java >/dev/null 2>&1; then
	need mvn "install Maven 3.8 or newer: Keycloak, which the tests of identity providers run against, comes through it"
	provide "$keycloak" "keycloak $keycloak_version (OpenID provider)" 1m30s make_keycloak
fi
echo "$binaries"

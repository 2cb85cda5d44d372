#!/usr/bin/env bash
# Packs the plugin: for each kubectl-sfn-<os>-<arch>[.exe] in a folder the archive kubectl-sfn-<os>-<arch>.tar.gz beside it, with
# the program, the licence, man pages and completions. The same files give the same bytes: no time, owner or order comes in.
#   tools/package-plugin.sh dist MAN_PAGES
set -euo pipefail
folder=${1:?folder of the programs} pages=${2:?folder of the man pages, which make man writes}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

mkdir "$stage/completions"
for shell in bash fish; do
	cp "$root/src/kubectl/completion/kubectl-sfn.$shell" "$stage/completions/"
done
# The names by which zsh and kubectl look for them.
cp "$root/src/kubectl/completion/kubectl-sfn.zsh" "$stage/completions/_kubectl_sfn"
cp "$root/src/kubectl/completion/kubectl_complete-sfn.sh" "$stage/completions/kubectl_complete-sfn"
mkdir -p "$stage/man/man1"
cp "$pages"/kubectl-sfn*.1 "$stage/man/man1/"
cp "$root/LICENSE" "$stage/"
find "$stage" -type f -exec chmod 644 {} +
chmod 755 "$stage/completions/kubectl_complete-sfn"

packed=0
for program in "$folder"/kubectl-sfn-*; do
	name=${program##*/} bin=kubectl-sfn
	case $name in
	*.tar.gz) continue ;;
	*.exe) name=${name%.exe} bin=kubectl-sfn.exe ;;
	esac
	[ -f "$program" ] || continue
	install -m 755 "$program" "$stage/$bin"
	tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu --directory "$stage" \
		"$bin" LICENSE completions man | gzip --no-name --best >"$folder/$name.tar.gz"
	rm "$stage/$bin"
	packed=$((packed + 1))
done
[ "$packed" -gt 0 ] || {
	echo "error: there is no kubectl-sfn-<os>-<arch> in $folder" >&2
	exit 1
}
echo "$packed archives are in $folder"

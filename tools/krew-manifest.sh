#!/usr/bin/env bash
# Prints the manifest of a release for krew: deploy/krew/sfn.template.yaml with this version, and with the digest of each archive,
# which is in the folder under the name that the manifest downloads it by. Ends with 1 where one is missing.
#   tools/krew-manifest.sh 1.2.3 dist > sfn.yaml
set -euo pipefail
version=${1:?version, such as 1.2.3} folder=${2:?folder of the archives}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || {
	echo "error: \"$version\" is no version, such as 1.2.3" >&2
	exit 1
}
template=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/deploy/krew/sfn.template.yaml
archive=
while IFS= read -r line; do
	line=${line//@VERSION@/$version}
	case $line in
	"# "*) continue ;;
	*" uri: "*) archive=$folder/${line##*/} ;;
	*@SHA256@*)
		[ -s "$archive" ] || {
			echo "error: there is no $archive, which the manifest of krew downloads" >&2
			exit 1
		}
		digest=$(sha256sum <"$archive")
		line=${line//@SHA256@/${digest%% *}}
		;;
	esac
	printf '%s\n' "$line"
done <"$template"

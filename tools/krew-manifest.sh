#!/usr/bin/env bash
# Prints the manifest for krew of a release: deploy/krew/sfn.yaml with this version and the digests of the archives in a folder,
# kubectl-sfn-<os>-<arch>.tar.gz. Ends with 1 where one is missing.
#   tools/krew-manifest.sh 1.2.3 dist > sfn.yaml
set -euo pipefail
version=${1:?version, such as 1.2.3} folder=${2:?folder of the archives}
archive=
while IFS= read -r line; do
    case $line in
    *" version: v"*) line="  version: v$version" ;;
    *" uri: "*)
        archive=$folder/${line##*/}
        before=${line%/v*} name=${line##*/}
        line="$before/v$version/$name"
        ;;
    *" sha256: "*)
        [ -r "$archive" ] || { echo "there is no $archive" >&2; exit 1; }
        digest=$(sha256sum "$archive")
        line="      sha256: \"${digest%% *}\""
        ;;
    esac
    printf '%s\n' "$line"
done <"$(dirname "$0")/../deploy/krew/sfn.yaml"

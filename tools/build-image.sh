#!/usr/bin/env bash
# Builds the image into dist/image as an OCI layout, and its bill of materials into dist/stepbound.cdx.json, without Docker.
#
# The program is built for musl where that target is installed, and stands alone in the image. Elsewhere it is linked with
# this machine's C library, and the image holds the few libraries that it needs, as a distroless image does.
# The same sources and tools give the same digest: no time and no order of a folder comes in.
# Needed: buildah, skopeo, cargo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
for command in buildah skopeo cargo python3; do
	command -v "$command" >/dev/null || {
		echo "error: '$command' is not installed" >&2
		exit 1
	}
done
machine=$(uname -m)
target=$machine-unknown-linux-musl
if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
	kind=static
	cargo build --quiet --locked --release --bin stepbound --target "$target"
	binary=${CARGO_TARGET_DIR:-target}/$target/release/stepbound
	built_for=$target
else
	kind="linked with this machine's C library"
	cargo build --quiet --locked --release --bin stepbound
	binary=${CARGO_TARGET_DIR:-target}/release/stepbound
	built_for=$(rustc -vV | sed -n 's/^host: //p')
fi
version=$(cargo metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["packages"][0]["version"])')

stage=dist/root
rm -rf "$stage" dist/image
mkdir -p "$stage/usr/local/bin" "$stage/etc/ssl/certs"
cp "$binary" "$stage/usr/local/bin/stepbound"
printf 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$stage/etc/passwd"
printf 'nonroot:x:65532:\n' >"$stage/etc/group"
cp /etc/ssl/certs/ca-certificates.crt "$stage/etc/ssl/certs/"
# Names as the program asks for them; nothing where it is static.
ldd "$binary" 2>/dev/null | grep -o '/[^ ]*' | sort -u | while read -r library; do
	mkdir -p "$stage$(dirname "$library")"
	cp -L "$library" "$stage$library"
done
# The library of names is asked for while the program runs.
if [ "$kind" != static ]; then
	for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
		found=$(find /lib /usr/lib -name "$library" -path "*$machine*" 2>/dev/null | head -1)
		[ -z "$found" ] || cp -L "$found" "$stage$(dirname "$(ldd "$binary" | grep -o '/[^ ]*libc.so.6')")/"
	done
	printf 'hosts: files dns\n' >"$stage/etc/nsswitch.conf"
fi
find "$stage" -exec touch --no-dereference --date=@0 {} +

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah bud --quiet --timestamp 0 --format oci --file Containerfile --build-arg VERSION="$version" --tag "stepbound:$version" "$stage" >dist/image.id
buildah push --quiet "stepbound:$version" "oci:dist/image:$version"
tools/bill-of-materials.py "$built_for" >dist/stepbound.cdx.json

# As the image runs it: with nothing but its own root, as its own user.
if [ "$(id -u)" = 0 ]; then
	chroot --userspec=65532:65532 "$stage" /usr/local/bin/stepbound --version >/dev/null
fi

echo "program    $(stat -c %s "$binary" | numfmt --to=si --suffix=B), $kind"
echo "image      $(du -sb dist/image/blobs | cut -f1 | numfmt --to=si --suffix=B) compressed, $(du -sb "$stage" | cut -f1 | numfmt --to=si --suffix=B) unpacked"
echo "digest     $(skopeo inspect --format '{{.Digest}}' "oci:dist/image:$version")"
echo "materials  $(python3 -c 'import json; print(len(json.load(open("dist/stepbound.cdx.json"))["components"]))') components in dist/stepbound.cdx.json"

#!/usr/bin/env bash
# Lets libFuzzer look for inputs that break the fuzz targets: `tools/fuzz.sh SECONDS [TARGET…]`, each target that long.
# A stable compiler is enough: what libFuzzer needs of it are options of LLVM, and no sanitiser, since the code has no unsafe.
#
# New inputs go to WORK/<target> (default: fuzz/work), beside those that are kept in fuzz/corpus/<target>. One that breaks a
# target goes to fuzz/artifacts/<target>, and the exit code is 1: put it into fuzz/corpus/<target> with the fix, and the
# tests run it from then on. `tools/fuzz.sh minimise` leaves in fuzz/corpus the few inputs that cover all that was covered; it
# knows nothing of an input that once broke a target, so put those back.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
seconds=${1:?"how many seconds for each target, or minimise"}
shift
all=(definition yaml trust token jsonpath jsonata guardrail)
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
work=${WORK:-fuzz/work}
mkdir -p "$work"
host=$(rustc -vV | sed -n 's/^host: //p')
# As cargo-fuzz sets them, without a sanitiser. A target is named so that build scripts are built without them.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
 -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=16"
RUSTFLAGS=$(tr '\n' ' ' <<<"$flags") CARGO_PROFILE_RELEASE_LTO=off \
	cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host" ${CARGO_TARGET_DIR:+--target-dir "$CARGO_TARGET_DIR"}
programs=${CARGO_TARGET_DIR:-fuzz/target}/$host/release
failed=()
for target in "${targets[@]}"; do
	kept=fuzz/corpus/$target found=$work/$target
	mkdir -p "$kept" "$found" "fuzz/artifacts/$target"
	if [ "$seconds" = minimise ]; then
		merged=$(mktemp -d)
		"$programs/$target" -set_cover_merge=1 -use_counters=0 -max_len=4096 "$merged" "$kept" "$found" 2>&1 | tail -1
		rm -rf "$kept" && mv "$merged" "$kept" && chmod 755 "$kept"
		continue
	fi
	dictionary=fuzz/dictionaries/$target
	echo "== $target"
	"$programs/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 \
		$([ ! -f "$dictionary" ] || echo "-dict=$dictionary") -artifact_prefix="fuzz/artifacts/$target/" "$found" "$kept" \
		2>"$work/$target.log" || failed+=("$target")
	grep -E '^#[0-9]+.*(INITED|DONE|cov:)' "$work/$target.log" | tail -1 || true
	grep -E 'number_of_executed_units|peak_rss|slowest_unit|panicked|ERROR|Test unit written' "$work/$target.log" || true
done
[ ${#failed[@]} = 0 ] || {
	echo "error: inputs were found that break: ${failed[*]}; they are in fuzz/artifacts, what was said in $work/*.log" >&2
	exit 1
}

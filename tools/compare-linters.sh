#!/usr/bin/env bash
# Verdicts and time of other linters on the corpus repeated to 1,000 definitions, beside the example `lint-speed`.
# They are installed into a temporary folder that goes afterwards. Needs npm, python3 and STEPBOUND_CORPUS.
set -euo pipefail
corpus=${STEPBOUND_CORPUS:?names the folder with asl/asl-validator/valid and invalid}/asl/asl-validator
project=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo "Installing the others" >&2
npm install --silent --no-audit --no-fund --prefix "$folder" asl-validator@4.0.0 amazon-states-language-service@1.16.1 vscode-languageserver-textdocument@1 >&2
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install statelint==3.1.0 >&2

cat >"$folder/compare.js" <<'JS'
const fs = require('fs'), path = require('path')
const [corpus, which] = process.argv.slice(2)
const read = kind => fs.readdirSync(path.join(corpus, kind)).sort().map(name => fs.readFileSync(path.join(corpus, kind, name), 'utf8'))
const valid = read('valid'), invalid = read('invalid')
let accepts
if (which === 'asl-validator') {
	const validate = require('asl-validator')
	accepts = async text => validate(JSON.parse(text)).isValid
} else {
	const { getLanguageService } = require('amazon-states-language-service')
	const { TextDocument } = require('vscode-languageserver-textdocument')
	const service = getLanguageService({})
	accepts = async text => {
		const document = TextDocument.create('file:///definition.asl.json', 'asl', 1, text)
		const found = await service.doValidation(document, service.parseJSONDocument(document))
		// Severity 1 is an error.
		return !found.some(one => one.severity === 1)
	}
}
const count = async (texts, wanted) => {
	let right = 0
	for (const text of texts) if (await accepts(text) === wanted) right++
	return right
}
;(async () => {
	const accepted = await count(valid, true), refused = await count(invalid, false)
	const all = valid.concat(invalid)
	const start = process.hrtime.bigint()
	for (let at = 0; at < 1000; at++) await accepts(all[at % all.length])
	const seconds = Number(process.hrtime.bigint() - start) / 1e9
	console.log(`${which.padEnd(32)} ${accepted} of ${valid.length} valid accepted, ${refused} of ${invalid.length} invalid refused, ${seconds.toFixed(3)} s`)
})()
JS

cat >"$folder/compare.py" <<'PY'
import itertools, pathlib, sys, time
from statelint.linter import Linter

corpus = pathlib.Path(sys.argv[1])
read = lambda kind: [path.read_text() for path in sorted((corpus / kind).iterdir())]
valid, invalid = read("valid"), read("invalid")
accepts = lambda text: not Linter.validate(text)
accepted, refused = sum(map(accepts, valid)), len(invalid) - sum(map(accepts, invalid))
start = time.monotonic()
for text in itertools.islice(itertools.cycle(valid + invalid), 1000):
    accepts(text)
seconds = time.monotonic() - start
print(f"{'statelint (PyPI) 3.1.0':32} {accepted} of {len(valid)} valid accepted, {refused} of {len(invalid)} invalid refused, {seconds:.3f} s")
PY

echo "Building the benchmark" >&2
(cd "$project" && cargo run --quiet --locked --release --example lint-speed)
echo
for which in asl-validator amazon-states-language-service; do
	(cd "$folder" && node compare.js "$corpus" "$which")
done
"$folder/venv/bin/python" "$folder/compare.py" "$corpus"

#!/usr/bin/env python3
"""Prints what the program is made of as CycloneDX 1.6: every crate that is linked into it, from cargo's own metadata, and
Rust's standard library. The first argument is the target that it is built for; without one it is this machine."""

import json
import subprocess
import sys

METADATA = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform"]


def compiler() -> dict[str, str]:
    """What the compiler says of itself: `release` and `host` among others."""
    lines = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def linked(metadata: dict) -> set[str]:
    """Ids of the packages that are reached without dependencies of tests and of builds."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, todo = set(), [metadata["resolve"]["root"]]
    while todo:
        package = todo.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return found


def component(package: dict) -> dict:
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    made = {"type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    if package["license"]:
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return made


def standard_library(rustc: dict[str, str]) -> dict:
    version = rustc["release"]
    reference = f"pkg:generic/rust-std@{version}"
    licenses = [{"expression": "MIT OR Apache-2.0"}]
    return {"type": "library", "bom-ref": reference, "name": "rust-std", "version": version, "purl": reference, "licenses": licenses}


def main() -> None:
    rustc = compiler()
    target = sys.argv[1] if len(sys.argv) > 1 else rustc["host"]
    metadata = json.loads(subprocess.run([*METADATA, target], check=True, capture_output=True, text=True).stdout)
    root, wanted = metadata["resolve"]["root"], linked(metadata)
    packages = sorted((p for p in metadata["packages"] if p["id"] in wanted), key=lambda p: (p["name"], p["version"]))
    own = next(package for package in packages if package["id"] == root)
    names = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package in packages}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {**component(own), "type": "application"},
            "properties": [{"name": "stepbound:target", "value": target}],
        },
        "components": [component(package) for package in packages if package["id"] != root] + [standard_library(rustc)],
        "dependencies": [
            {
                "ref": names[node["id"]],
                "dependsOn": sorted({names[one["pkg"]] for one in node["deps"] if one["pkg"] in wanted}),
            }
            for node in sorted(metadata["resolve"]["nodes"], key=lambda node: node["id"])
            if node["id"] in wanted
        ],
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prints what the program is made of as CycloneDX 1.6: every crate that is linked into it, from cargo's own metadata."""

import json
import subprocess

METADATA = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform"]


def host() -> str:
    lines = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


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


def main() -> None:
    metadata = json.loads(subprocess.run([*METADATA, host()], check=True, capture_output=True, text=True).stdout)
    root, wanted = metadata["resolve"]["root"], linked(metadata)
    packages = sorted((p for p in metadata["packages"] if p["id"] in wanted), key=lambda p: (p["name"], p["version"]))
    own = next(package for package in packages if package["id"] == root)
    names = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package in packages}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**component(own), "type": "application"}},
        "components": [component(package) for package in packages if package["id"] != root],
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

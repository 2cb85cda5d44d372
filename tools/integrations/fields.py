"""Which field of a call names each part of an ARN format.

The authorization reference has formats such as `cluster/${ClusterName}/task/${TaskId}` and the service models have
fields; neither says which belongs to which. Names that agree belong together. What agrees in no rule here stands in
`fields.txt`, and what stands nowhere is left out: a policy then says that the resource has to be given.
"""
import pathlib
import re

from naming import letters, parameter, plain, singular, words

HERE = pathlib.Path(__file__).parent
ENDINGS = ("Identifier", "Name", "Id", "Arn")
PLACES = ("Partition", "Region", "Account")
# What a call with such a verb makes has an id that is known only afterwards.
CREATES = ("Create", "Run", "Allocate", "Import", "Register", "Copy", "Restore", "Request", "Purchase", "Start", "Claim", "Clone")
# A field with such a word speaks of another resource of the same kind.
OTHERS = {
    "source", "target", "destination", "final", "new", "replication", "parent", "current", "previous", "default", "peer",
    "associated", "last", "next", "requester", "accepter", "old", "backup", "child", "exclude", "replacement", "transport",
    "related", "directory", "interface",
}
NOTHING = "-"
ANY = "*"


def noun(name):
    ending = next((end for end in ENDINGS if name.endswith(end) and len(name) > len(end)), "")
    return name[: len(name) - len(ending)] if ending else name


def is_made(placeholder):
    """A part that AWS makes up when the resource is made."""
    return is_id(placeholder) or placeholder.startswith(("Creation", "Revision"))


def is_id(placeholder):
    """An id is given by AWS: no field called a name has it."""
    return placeholder.endswith(("Id", "ID", "Identifier", "Uuid", "UUID"))


def parts(arn):
    """The names in an ARN format, each with the fixed word before it, and whether only a separator stands between it and
    the name before."""
    found, fixed, joined = [], "", False
    for piece in re.split(r"(\$\{[^}]*\})", arn.split(":", 5)[5] if arn.count(":") >= 5 else arn):
        if piece.startswith("${"):
            if piece[2:-1] not in PLACES:
                found.append((piece[2:-1], fixed, joined))
                joined = True
        elif piece:
            fixed_words = [word for word in re.split(r"[/:.,*]", piece) if word.strip("-_@")]
            if fixed_words:
                fixed, joined = fixed_words[-1], False
    return found


def read_exceptions():
    """By prefix and placeholder: operation or `*`, and the field."""
    exceptions = {}
    for line in (HERE / "fields.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            prefix, operation, placeholder, field = line.split()
            exceptions.setdefault((prefix, placeholder), []).append((operation, field))
    return exceptions


def texts(shapes, structure, depth=0):
    """Fields that hold a text or a list of texts, by their path, the shallow ones first."""
    deeper = []
    for name, member in shapes[structure].get("members", {}).items():
        shape, name = shapes[member["shape"]], parameter(name)
        while shape["type"] == "list":
            shape_name = shape["member"]["shape"]
            shape = shapes[shape_name]
            member = {"shape": shape_name}
        if shape["type"] in ("string", "integer", "long"):
            yield name
        elif shape["type"] == "structure" and depth < 2 and not shape.get("document"):
            deeper.append((name, member["shape"]))
    for name, inner in deeper:
        yield from (f"{name}.{path}" for path in texts(shapes, inner, depth + 1))


class Fields:
    """The fields of one operation."""

    def __init__(self, operation, paths, exceptions):
        self.operation = operation
        self.action = operation
        self.verb, *rest = words(operation)
        self.of = letters(singular("".join(rest)))
        self.exceptions = exceptions
        self.called = {plain(name): name for path in paths for name in path.split(".")}
        self.paths = paths = [".".join(map(plain, path.split("."))) for path in paths]
        self.top = {letters(path): path for path in paths if "." not in path}
        self.nested = {}
        for path in paths:
            if "." in path:
                top, leaf = path.split(".", 1)[0], path.rsplit(".", 1)[1]
                self.nested.setdefault(letters(leaf), f"{top}..{leaf}")

    def named(self, names, fields):
        for name in map(letters, names):
            for form in (name, name + "s", name + "es", name[:-1] + "ies" if name.endswith("y") else name, name + "list"):
                if form in fields:
                    return fields[form]
        return None

    def exception(self, prefix, placeholder):
        tops = {letters(path.split(".")[0]) for path in self.paths}
        for operation, text in self.exceptions.get((prefix, placeholder), []):
            if operation not in ("*", self.operation, self.action):
                continue
            paths, default = re.fullmatch(r"([^=]*)(=.*)?", text).groups()
            known = [path for path in paths.split("+") if path in ("*", "-") or "#" in path or letters(path.split(".")[0]) in tops]
            if known or not paths:
                return "+".join(known) + (default or "")
        return None

    def is_listed(self, prefix, arn):
        """True of a format whose parts stand in `fields.txt` for this very operation."""
        lines = [self.exceptions.get((prefix, placeholder), []) for placeholder, _, _ in parts(f"arn:%p:{arn}")]
        return all(any(operation == self.operation for operation, _ in of) for of in lines) and bool(lines)

    def value(self, prefix, placeholder, fixed, is_last):
        exception = self.exception(prefix, placeholder)
        if exception:
            return exception
        of, kind = noun(placeholder), singular(fixed)
        endings = ["Id", "Identifier", ""] if is_id(placeholder) else ["Name", "Identifier", "Id", ""]
        names = [placeholder] + [of + ending for ending in endings]
        if kind and is_last:
            names += [kind + ending for ending in endings]
        generic = of in ("Resource", "ResourcePath", "Id", "Identifier", "Name", "Instance") and kind
        if generic and is_last:
            names = [kind + ending for ending in endings] + [placeholder]
        found = self.named(names, self.top)
        if found:
            return found
        if is_last and self.is_about(of, kind):
            generics = ["Identifier", "Id"] if is_id(placeholder) else ["Identifier", "Name", "Id"]
            found = self.named(generics, self.top)
            if found:
                return found
        by_end = self.suffix(words(of), is_id(placeholder)) or (generic and is_last and self.suffix(words(kind), True))
        by_kind = self.named([kind + "Name"], self.top) if of == "Resource" and kind and is_last else None
        return by_end or by_kind or self.named([placeholder, of + "Name", of + "Id"], self.nested)

    def is_about(self, of, kind):
        """The operation's name speaks of it."""
        speaks = lambda one: one and (self.of == one or (len(one) > 3 and (self.of.startswith(one) or self.of.endswith(one))))
        return speaks(letters(of)) or speaks(letters(kind))

    def suffix(self, of, wants_id):
        """`SecurityGroupId` is called GroupId in some calls, and `ApiId` RestApiId."""
        wanted, found = [word.lower() for word in of], []
        for path in self.top.values():
            end = next((end for end in ("Identifier", "Id", "Name", "Ids", "Names", "Identifiers") if path.endswith(end)), None)
            if end is None or path == end or (wants_id and end.startswith("Name")):
                continue
            have = [singular(word.lower()) for word in words(path[: -len(end)])]
            if not have or have == ["resource"]:
                continue
            shorter = len(have) < len(wanted) and wanted[-len(have):] == have
            longer = have[-len(wanted):] == wanted and not set(have[: -len(wanted)]) & OTHERS
            if shorter or longer:
                found.append(path)
        return found[0] if len(found) == 1 else None

    def creates(self, placeholder, fixed):
        """The call makes the resource, whose id is known only afterwards, and no field has its ARN."""
        last = letters(singular(re.split(r"[-_]", fixed)[-1])) if fixed else ""
        about = {word.lower() for word in words(noun(placeholder)) + words(singular(fixed))}
        by_arn = any(path.endswith("Arn") and about & {word.lower() for word in words(path)} for path in self.top.values())
        return self.verb in CREATES and last and self.of.endswith(last) and not by_arn

    def mapping(self, prefix, arn):
        """For each name of a format its field, `*` for what the call makes, or None where a field is missing."""
        found = self.found(prefix, arn)
        return found and [self.real(field) for field in found]

    def made(self, prefix, arn):
        """As `mapping`, for what the call makes: its id is known only afterwards, and of a copy it is the copy."""
        found, fields = parts(arn), []
        for index, (placeholder, fixed, _) in enumerate(found):
            is_last = index == len(found) - 1
            value = self.value(prefix, placeholder, fixed, is_last)
            is_own = value and "." not in value and is_id(value.rstrip("s"))
            if is_last and is_made(placeholder) and not is_own and not self.exception(prefix, placeholder):
                value = ANY
            if value in (None, NOTHING):
                return None
            fields.append(value.split("+")[-1])
        return [self.real(field) for field in fields]

    def real(self, field):
        """The name as Step Functions has it."""
        return re.sub(r"[A-Za-z0-9]+", lambda name: self.called.get(name[0], name[0]), field)

    def found(self, prefix, arn):
        found = parts(arn)
        ids = {noun(placeholder) for placeholder, _, _ in found if is_id(placeholder)}
        fields = []
        for index, (placeholder, fixed, joined) in enumerate(found):
            is_last = index == len(found) - 1
            value = self.value(prefix, placeholder, fixed, is_last)
            if joined and fields and value == fields[-1]:
                # `stack/${StackName}/${Id}`: the tail is not the name again.
                value = None
            if value and value.endswith("Id") and not is_id(placeholder) and noun(placeholder) in ids:
                # `broker:${BrokerName}:${BrokerId}`: the id is not the name.
                value = ANY
            if value is None and is_last and ((joined and fields and is_made(placeholder)) or self.creates(placeholder, fixed)):
                value = ANY
            fields.append(None if value == NOTHING else value)
        if found and is_id(found[-1][0]) and fields[-1] not in (None, ANY):
            # Ids are unique by themselves: what is above them may stay open.
            fields = [field or ANY for field in fields]
        is_wide = fields and all(field == ANY for field in fields) and self.verb not in CREATES
        return None if None in fields or is_wide or (not fields and "*" in arn) else fields

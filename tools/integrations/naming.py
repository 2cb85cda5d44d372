"""Names as Step Functions has them: those of the AWS SDK for Java 2, whose generator splits names into words."""
import re


def words(name):
    """As CodegenNamingUtils.splitOnWordBoundaries of the SDK for Java 2."""
    text = re.sub(r"[^A-Za-z0-9]+", " ", name)
    text = re.sub(r"([^a-z]{2,})v([0-9]+)", r"\1 v\2 ", text)
    text = re.sub(r"([^A-Z]{2,})V([0-9]+)", r"\1 V\2 ", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z]([a-zA-Z]|[0-9]))", " ", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    text = re.sub(r"([0-9])([a-zA-Z])", r"\1 \2", text)
    return text.split()


def parameter(name):
    """The name of a parameter, in PascalCase (developer guide, "Learning to use AWS service SDK integrations"): that of the
    setter in the SDK for Java 2, whose generator (Utils.unCapitalize) lowers the abbreviation at the beginning and leaves those
    inside. DBInstanceIdentifier is DbInstanceIdentifier, and TemplateURL stays."""
    head = re.match(r"[A-Z](?:[A-Z](?![a-z]))*", name)
    small = name if head is None else head[0].lower() + name[head.end():]
    return small[:1].upper() + small[1:]


def plain(name):
    """A name as the rules compare it: each word with one capital."""
    return "".join(word[:1].upper() + word[1:].lower() for word in words(name))


def service(service_id):
    """The name in `aws-sdk:<name>:`, made of the service id."""
    name = re.sub(r"[^a-z0-9]", "", service_id.lower())
    name = re.sub(r"^(amazon|aws)", "", name)
    return re.sub(r"service$", "", name) or name


def operation(name):
    """CloudFront's operations carry their date in the model and not in the SDK."""
    return re.sub(r"\d{4}_\d{2}_\d{2}$", "", name)


def letters(name):
    """What is compared: letters and digits alone, small."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def singular(word):
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "sis", "us")) else word

"""The Lambda function of the quickstart: charges nobody."""


def handler(event, context):
    return {"charged": event["amount"]}

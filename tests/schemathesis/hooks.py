"""What schemathesis has to know of the server under test beside its documents.

The documents say in words what a schema cannot say, such as which stores there are. Here the schemas say it, so that a
request that fits them must be accepted, and one that does not must be refused.
"""

import json

import jsonschema_rs
import schemathesis
from schemathesis.core.failures import ServerError
from schemathesis.openapi.checks import RejectedPositiveData

# The stores of the server, one in Redis and one in memory.
STORES = ["lockstore", "memory"]

# How long a call may wait for a lock. The longer times of the document would only take time.
SHORT = r"^0\.0[0-9]{1,8}s$"

# How long a call may hold a lock: a short time as well, and positive.
SHORT_HOLD = r"^0\.0[1-9][0-9]{0,7}s$"

# The duration of a hold that names none: it would have no end.
HOLD = "0.01s"

# Positive, and below 2,147,483,647 s.
TIME = r"^[1-9][0-9]{0,8}(\.[0-9]{1,9})?s$"

# A cursor of a store in Redis. A store in memory takes every text.
CURSOR = "^[0-9]{0,18}$"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    components = raw_schema["components"]
    components["parameters"]["Store"]["schema"] = {"enum": STORES}
    for name, schema in components["schemas"].items():
        if name == "Ttl":
            schema["pattern"] = TIME
        elif name == "Wait":
            schema["pattern"] = SHORT
        elif name.endswith("Request"):
            schema.get("properties", {}).get("maxHold", {}).update(pattern=SHORT_HOLD)
        else:
            close(schema)
    for path in raw_schema["paths"].values():
        for parameter in path.get("get", {}).get("parameters", []):
            if parameter["name"] == "cursor":
                parameter["schema"]["pattern"] = CURSOR


def close(schema):
    """Lets a reply have no field that the document does not name. The document leaves room for later ones."""
    if isinstance(schema, list):
        for part in schema:
            close(part)
    elif isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            close(part)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets every hold end."""
    if case.operation.path.endswith("/hold") and isinstance(case.body, dict):
        if case.body.get("maxHold") is None:
            case.body["maxHold"] = HOLD


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Passes over what is as it should be, though a document cannot say it."""
    error = error_of(response)
    code, message = error.get("errorCode"), error.get("message", "")
    if isinstance(failure, ServerError):
        # As in Dapr, these are the server's errors.
        is_reserved = message.endswith("can't contain '||'")
        return not (is_reserved or code == "ERR_HEALTH_APPID_NOT_MATCH")
    if isinstance(failure, RejectedPositiveData):
        return code != "ERR_METADATA_LIMIT"
    return True


@schemathesis.check
def unserved_methods_are_not_found(ctx, response, case):
    """As in Dapr, and not as a web server has it, who would say 405."""
    served = {method.upper() for method in case.operation.schema[case.operation.path]}
    method = response.request.method
    if method not in served:
        # A reply to HEAD has no body.
        codes = [None] if method == "HEAD" else ["ERR_DIRECT_INVOKE", "ERR_ADMIN_ROUTE"]
        answer = response.status_code, error_of(response).get("errorCode")
        assert answer in [(404, code) for code in codes], f"{method} is answered with {answer}"


@schemathesis.check
def lines_are_events(ctx, response, case):
    """schemathesis does not read the lines of a response."""
    if response.headers.get("content-type") != ["application/x-ndjson"]:
        return
    components = case.operation.schema.raw_schema["components"]
    event = {"$ref": "#/components/schemas/HoldEvent", "components": components}
    validator = jsonschema_rs.validator_for(event)
    lines = [json.loads(line) for line in response.content.splitlines()]
    for line in lines:
        assert validator.is_valid(line), f"the document does not know the event {line}"
    names = [name for line in lines for name in line]
    ends = names == ["notHeld"] or (names[0], names[-1]) == ("held", "lost")
    assert ends, f"the events come in another order: {names}"


def error_of(response):
    """The error in a response; empty if there is none."""
    try:
        error = json.loads(response.content)
    except ValueError:
        return {}
    return error if isinstance(error, dict) else {}

"""Reads events, a JSON line each, and prints as JSON what is wrong with each: the published schema of OCSF 1.8.0 is the judge.

The schema is the one that PyPI's ocsf-json-schema brings (made from schema.ocsf.io), the validator PyPI's jsonschema.
"""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

published = get_ocsf_schema(version="1.8.0")
schema = OcsfJsonSchemaEmbedded(published).get_class_schema("api_activity", profiles=["security_control"])
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
siblings = {
    name: {int(number): value["caption"] for number, value in attribute["enum"].items()}
    for name, attribute in published["classes"]["api_activity"]["attributes"].items()
    if "enum" in attribute
}
CAPTIONS = {
    "activity_id": "activity_name",
    "action_id": "action",
    "category_uid": "category_name",
    "class_uid": "class_name",
    "disposition_id": "disposition",
    "severity_id": "severity",
    "status_id": "status",
    "type_uid": "type_name",
}


def faults(event):
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)]
    # What JSON Schema does not say: a number's caption is the dictionary's own, unless it is 99, "Other", which takes any.
    for number, caption in CAPTIONS.items():
        if number not in event or caption not in event or event[number] == 99:
            continue
        if siblings[number].get(event[number]) != event[caption]:
            found.append(f"{caption}: {event[caption]} is not the caption of {event[number]}")
    return found


print(json.dumps([faults(json.loads(line)) for line in sys.stdin if line.strip()]))

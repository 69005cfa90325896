"""validate.py FILE…: holds each to CycloneDX's published schema of 1.6, formats included; prints what does not fit, exit 1 then."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bad = False
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
    if fault is not None:
        bad = True
        print(f"{name}: {fault}"[:2000])
sys.exit(1 if bad else 0)

"""dsse.py ENVELOPE PUBLIC_KEY_PEM: verifies by securesystemslib and prints the payload; exit 1 when no signature is the key's."""

import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

with open(sys.argv[1], encoding="utf-8") as file:
    written = json.load(file)
with open(sys.argv[2], "rb") as file:
    key = SSlibKey.from_crypto(load_pem_public_key(file.read()), keyid=written["signatures"][0]["keyid"])
envelope = Envelope.from_dict(written)
try:
    envelope.verify([key], 1)
except VerificationError as fault:
    sys.exit(f"not verified: {fault}")
sys.stdout.buffer.write(envelope.payload)

#!/usr/bin/env python3
"""A signer for reeve-control that asks a PKCS #11 token: bytes on stdin, the Ed25519 signature (64 bytes) on stdout.

    pkcs11-tool --module M --token-label T --login --keypairgen --key-type EC:edwards25519 --label cmd-2026-11
    pkcs11-tool --module M --token-label T --read-object --type pubkey --label cmd-2026-11 -o cmd-2026-11.pem
    reeve-control send … --signer "pkcs11.py --module M --token T --label cmd-2026-11 --pin-file PIN" --signer-key cmd-2026-11.pem --kid cmd-2026-11

The module is called directly (C_Sign with CKM_EDDSA, PKCS #11 v3.0), because `pkcs11-tool --sign` of OpenSC 0.23 signs at most 1024 bytes
at once, and a trust statement is longer; OpenSSL's pkcs11 engine (libp11 0.4.12) does not see Ed25519 keys at all.
The PIN is read from a file that nobody else can read: it is never an argument, which `ps` would show.
Needs nothing but Python's standard library. Exit code 0 only when a signature was written.
"""

import argparse
import ctypes
import os
import stat
import sys

ULONG = ctypes.c_ulong
CKR_OK, CKR_USER_ALREADY_LOGGED_IN = 0x0, 0x100
CKF_SERIAL_SESSION, CKU_USER = 0x4, 1
CKA_CLASS, CKA_LABEL, CKA_KEY_TYPE = 0x0, 0x3, 0x100
CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKM_EDDSA = 0x3, 0x40, 0x1057
MAX_SLOTS = 64


class Attribute(ctypes.Structure):
    _fields_ = [("type", ULONG), ("value", ctypes.c_void_p), ("size", ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", ULONG), ("parameter", ctypes.c_void_p), ("size", ULONG)]


class TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO: only the label is looked at; the rest is room for what a module writes."""

    _fields_ = [("label", ctypes.c_char * 32), ("rest", ctypes.c_char * 480)]


def need(name, result):
    if result != CKR_OK:
        raise ValueError(f"{name} answers 0x{result:x}")


def attribute(kind, data):
    buffer = ctypes.create_string_buffer(data, len(data))
    return Attribute(kind, ctypes.cast(buffer, ctypes.c_void_p), len(data)), buffer


def number(value):
    return bytes(ULONG(value))


def find_slot(module, token):
    slots, count = (ULONG * MAX_SLOTS)(), ULONG(MAX_SLOTS)
    need("C_GetSlotList", module.C_GetSlotList(ctypes.c_ubyte(1), slots, ctypes.byref(count)))
    found = []
    for slot in slots[: count.value]:
        info = TokenInfo()
        need("C_GetTokenInfo", module.C_GetTokenInfo(ULONG(slot), ctypes.byref(info)))
        if bytes(info.label).decode("utf-8", "replace").rstrip(" ") == token:
            found.append(slot)
    if len(found) != 1:
        raise ValueError(f"{len(found)} tokens are called {token!r}")
    return found[0]


def find_key(module, session, label):
    wanted = [(CKA_CLASS, number(CKO_PRIVATE_KEY)), (CKA_KEY_TYPE, number(CKK_EC_EDWARDS)), (CKA_LABEL, label.encode())]
    pairs = [attribute(kind, data) for kind, data in wanted]
    template = (Attribute * len(pairs))(*[one for one, _ in pairs])
    need("C_FindObjectsInit", module.C_FindObjectsInit(session, template, ULONG(len(pairs))))
    keys, count = (ULONG * 2)(), ULONG(0)
    need("C_FindObjects", module.C_FindObjects(session, keys, ULONG(2), ctypes.byref(count)))
    need("C_FindObjectsFinal", module.C_FindObjectsFinal(session))
    if count.value != 1:
        raise ValueError(f"the token holds {count.value or 'no'} Ed25519 keys called {label!r}")
    return ULONG(keys[0])


def sign(module, args, pin, data):
    need("C_Initialize", module.C_Initialize(None))
    try:
        session = ULONG(0)
        slot = ULONG(find_slot(module, args.token))
        need("C_OpenSession", module.C_OpenSession(slot, ULONG(CKF_SERIAL_SESSION), None, None, ctypes.byref(session)))
        logged_in = module.C_Login(session, ULONG(CKU_USER), pin, ULONG(len(pin)))
        if logged_in != CKR_USER_ALREADY_LOGGED_IN:
            need("C_Login", logged_in)
        mechanism = Mechanism(CKM_EDDSA, None, 0)
        need("C_SignInit", module.C_SignInit(session, ctypes.byref(mechanism), find_key(module, session, args.label)))
        signature, size = ctypes.create_string_buffer(128), ULONG(128)
        need("C_Sign", module.C_Sign(session, data, ULONG(len(data)), signature, ctypes.byref(size)))
        if size.value != 64:
            raise ValueError(f"the token's signature has {size.value} bytes")
        return signature.raw[:64]
    finally:
        module.C_Finalize(None)


def read_pin(path):
    with open(path, "rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ValueError(f"{path} can be read by others: chmod 600 {path}")
        return file.read().rstrip(b"\r\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--module", required=True, metavar="FILE.so", help="the token's PKCS #11 module")
    options.add_argument("--token", required=True, metavar="LABEL", help="the token's label")
    options.add_argument("--label", required=True, metavar="LABEL", help="the key's label")
    options.add_argument("--pin-file", required=True, metavar="FILE", help="a file with the user PIN, 0600")
    args = options.parse_args()
    module = ctypes.CDLL(args.module)
    sys.stdout.buffer.write(sign(module, args, read_pin(args.pin_file), sys.stdin.buffer.read()))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, AttributeError) as error:
        sys.exit(f"pkcs11.py: {error}")

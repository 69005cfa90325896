#!/usr/bin/env python3
"""A signer for reeve-control that asks a running ssh-agent: bytes on stdin, the Ed25519 signature (64 bytes) on stdout.

    ssh-keygen -t ed25519 -f command -C cmd-2026-11 && ssh-add command       # or a key that never leaves its token: ssh-add -K, -s
    reeve-control send … --signer "ssh-agent.py --key command.pub" --signer-key command.pub --kid cmd-2026-11

The agent is the one of SSH_AUTH_SOCK. Over an ssh-ed25519 key its signature is a plain one of RFC 8032 over exactly these bytes.
FIDO keys (sk-ssh-ed25519) sign more than the bytes, so they cannot be command keys. Use a key for this and nothing else.
Needs nothing but Python's standard library. Exit code 0 only when a signature was written.
"""

import argparse
import base64
import os
import socket
import struct
import sys

SIGN_REQUEST = 13  # draft-ietf-sshm-ssh-agent, SSH_AGENTC_SIGN_REQUEST
SIGN_RESPONSE = 14
MAX_ANSWER = 4096


def string(data):
    """RFC 4251 section 5: its length in four bytes, then the bytes."""
    return struct.pack(">I", len(data)) + data


def read_string(data):
    """The first string of data, and what follows it."""
    (size,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + size:
        raise ValueError("an answer that ends too early")
    return data[4 : 4 + size], data[4 + size :]


def public_blob(path):
    """The key of a .pub file, as the agent knows it."""
    with open(path, encoding="ascii") as file:
        kind, blob = file.read().split()[:2]
    if kind != "ssh-ed25519":
        raise ValueError(f"{path} holds a key of kind {kind}, not ssh-ed25519")
    return base64.b64decode(blob, validate=True)


def receive(agent, size):
    data = b""
    while len(data) < size:
        part = agent.recv(size - len(data))
        if not part:
            raise ValueError("the agent hung up")
        data += part
    return data


def ask(path, message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.connect(path)
        agent.sendall(string(message))
        (size,) = struct.unpack(">I", receive(agent, 4))
        if not 1 <= size <= MAX_ANSWER:
            raise ValueError("an answer of the wrong size")
        return receive(agent, size)


def sign(path, blob, data):
    answer = ask(path, bytes([SIGN_REQUEST]) + string(blob) + string(data) + struct.pack(">I", 0))
    if answer[0] != SIGN_RESPONSE:
        raise ValueError("the agent does not sign with this key: is it loaded (ssh-add -l), and was it confirmed?")
    signature, _ = read_string(answer[1:])
    kind, rest = read_string(signature)
    value, _ = read_string(rest)
    if kind != b"ssh-ed25519" or len(value) != 64:
        raise ValueError("the agent's signature is not an Ed25519 one")
    return value


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--key", required=True, metavar="FILE.pub", help="the public half of the agent's key")
    args = options.parse_args()
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise ValueError("SSH_AUTH_SOCK names no agent")
    sys.stdout.buffer.write(sign(path, public_blob(args.key), sys.stdin.buffer.read()))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, struct.error) as error:
        sys.exit(f"ssh-agent.py: {error}")

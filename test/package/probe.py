"""What a program in the agent's place may do: tries each thing and prints one JSON object, name to errno's name, or "done"."""
import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
SYS_PTRACE = {"x86_64": 101, "aarch64": 117}[os.uname().machine]
# Of every architecture; enter and register follow.
IO_URING_SETUP = 425
WRITABLE = ["/var/lib/reeve", "/run/reeve", "/tmp", "/var/tmp", "/dev/shm"]
PTRACE_ATTACH = 16
MNT_DETACH = 2


def call(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "")


def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def make(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def listen(host):
    with socket.socket() as one:
        one.bind((host, 0))
        one.listen()


def run_from(folder):
    """Runs a program that the agent itself wrote: "done" when it ran."""
    path = folder + "/probe-program"
    with open("/bin/true", "rb") as true, open(path, "wb") as copy:
        copy.write(true.read())
    os.chmod(path, 0o700)
    try:
        subprocess.run([path], check=True)
    finally:
        os.unlink(path)


def be_root():
    os.setuid(0)


TRIES = {
    "write the executable": lambda: write("/usr/bin/reeve"),
    "write the config": lambda: write("/etc/reeve/reeve.yaml"),
    "write the policy": lambda: write("/etc/reeve/owner/policy.yaml"),
    "write the unit": lambda: write("/usr/lib/systemd/system/reeve.service"),
    "add a drop-in": lambda: make("/etc/systemd/system/reeve.service.d/x.conf"),
    "replace the executable": lambda: make("/usr/bin/reeve.new"),
    "approve": lambda: make("/etc/reeve/owner/approvals/x.sig"),
    "write into /tmp": lambda: make("/tmp/probe"),
    "write its own state": lambda: make("/var/lib/reeve/probe"),
    "write its own status": lambda: make("/run/reeve/probe"),
    "read the vendor's keys": lambda: os.listdir("/root"),
    "listen": lambda: listen("127.0.0.1"),
    "set up io_uring": lambda: call(libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))),
    "enter io_uring": lambda: call(libc.syscall(IO_URING_SETUP + 1, -1, 0, 0, 0, None, 0)),
    "register with io_uring": lambda: call(libc.syscall(IO_URING_SETUP + 2, -1, 0, None, 0)),
    "make a file of memory": lambda: os.memfd_create("probe"),
    **{f"run a program of its own from {folder}": lambda folder=folder: run_from(folder) for folder in WRITABLE},
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "open an internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "trace another process": lambda: call(libc.syscall(SYS_PTRACE, PTRACE_ATTACH, 1, 0, 0)),
    "become root": be_root,
    "make a namespace": lambda: call(libc.unshare(0x10000000)),
    "mount": lambda: call(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None)),
    "unmount": lambda: call(libc.umount2(b"/", MNT_DETACH)),
    "set the clock": lambda: call(libc.clock_settime(0, ctypes.byref((ctypes.c_long * 2)(0, 0)))),
    "set the host's name": lambda: socket.sethostname("other"),
    "load a module": lambda: call(libc.syscall({"x86_64": 175, "aarch64": 105}[os.uname().machine], 0, 0, b"")),
    "have memory to write and to execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "see other processes": lambda: os.stat("/proc/1"),
}


def tried(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"


json.dump({name: tried(act) for name, act in TRIES.items()}, sys.stdout)

"""Tries what a confined reviewer must not be able to do. Outside it prints what worked; inside it says so in its review.

Usage: escape.py PARAMETERS outside|inside
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys

P = json.load(open(sys.argv[1]))
INSIDE = sys.argv[2] == "inside"
libc = ctypes.CDLL(None, use_errno=True)
NR = {
    "ptrace": 101, "process_vm_readv": 310, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "unshare": 272, "setns": 308, "keyctl": 250, "add_key": 248, "request_key": 249, "io_uring_setup": 425, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "name_to_handle_at": 303, "open_by_handle_at": 304, "sethostname": 170,
    "syslog": 103, "clone": 56, "acct": 163, "pidfd_open": 434, "pidfd_getfd": 438, "fsopen": 430, "open_tree": 428,
    "move_mount": 429, "reboot": 169, "init_module": 175, "kexec_load": 246, "swapon": 167, "kcmp": 312,
    "mount_setattr": 442, "tgkill": 234, "fanotify_init": 300,
}


def call(name, *args):
    ctypes.set_errno(0)
    got = libc.syscall(NR[name], *args)
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got


def read(path):
    with open(path, "rb") as file:
        file.read(64)


def listing(path):
    if not [one for one in os.listdir(path) if one not in P["own"]]:
        raise OSError("nothing is there")


def write(path):
    with open(path, "ab") as file:
        file.write(b"")


def create(folder):
    path = os.path.join(folder, "escaped")
    open(path, "w").close()
    os.unlink(path)


def connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)


def closed(fd):
    os.close(fd)


def env():
    if "SECRET_TOKEN" not in os.environ:
        raise OSError("not there")


def descriptor():
    os.fstat(9)


def handle():
    buffer = ctypes.create_string_buffer(136)
    ctypes.cast(buffer, ctypes.POINTER(ctypes.c_uint))[0] = 128
    mount_id = ctypes.c_int()
    call("name_to_handle_at", -100, b"/usr", buffer, ctypes.byref(mount_id), 0)


def uring():
    closed(call("io_uring_setup", 4, ctypes.create_string_buffer(120)))


def fork(flags):
    pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def in_child(work):
    """Runs what would change this process in a child of it."""

    def run():
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                os._exit(1)
        if os.waitpid(pid, 0)[1] != 0:
            raise OSError("failed in the child")

    return run


def trace(pid):
    # PTRACE_SEIZE stops nothing.
    call("ptrace", 0x4206, pid, 0, 0)


def foreign_memory(pid):
    buffer = ctypes.create_string_buffer(8)

    class Vec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    here = Vec(ctypes.cast(buffer, ctypes.c_void_p), 8)
    there = Vec(P["address"], 8)
    call("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def forks():
    most, children = 0, []
    try:
        while most < 3000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
            most += 1
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def files():
    held = []
    try:
        for _ in range(5000):
            held.append(os.dup(0))
    finally:
        for fd in held:
            os.close(fd)


def big_file():
    path = "/tmp/work/big"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(path, "wb") as file:
        try:
            for _ in range(400):
                file.write(b"x" * (1 << 20))
        finally:
            os.unlink(path)


def memory():
    # Shared memory is not counted; the wall clock and the kernel's choice of whom to end first bound it.
    mmap.mmap(-1, 6 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


U, I, S, D = socket.AF_UNIX, socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM
pid = P["pid"]
# Name, what is tried, and whether it is safe to show outside first.
ACTIONS = [
    ("ledger", lambda: read(P["ledger"]), True),
    ("state folder", lambda: listing(P["state"]), True),
    ("home", lambda: listing(P["home"]), True),
    ("login of codex", lambda: read(P["auth"]), True),
    ("rollout", lambda: read(P["rollout"]), True),
    ("private key", lambda: read(P["key"]), True),
    ("project", lambda: read(P["project"]), True),
    ("password hashes", lambda: read("/etc/shadow"), True),
    ("host name", lambda: read("/etc/hostname"), True),
    ("variable data", lambda: listing("/var"), True),
    ("run folder", lambda: listing("/run"), True),
    ("devices", lambda: listing("/sys"), True),
    ("environment of a process", lambda: read(f"/proc/{pid}/environ"), True),
    ("command line of a process", lambda: read(f"/proc/{pid}/cmdline"), True),
    ("files of a process", lambda: listing(f"/proc/{pid}/fd"), True),
    ("root of a process", lambda: listing(f"/proc/{pid}/root"), True),
    ("memory of the first process", lambda: read("/proc/1/environ"), True),
    ("root of the first process", lambda: listing("/proc/1/root"), True),
    ("kernel memory", lambda: read("/proc/kcore"), True),
    ("tcp", lambda: connect(I, S, ("127.0.0.1", P["tcp"])), True),
    ("udp", lambda: connect(I, D, ("127.0.0.1", P["tcp"])), True),
    ("socket of a terminal", lambda: connect(U, S, P["socket"]), True),
    ("abstract socket", lambda: connect(U, S, "\0" + P["abstract"]), True),
    ("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(), True),
    ("raw socket", lambda: socket.socket(I, socket.SOCK_RAW, 1).close(), True),
    ("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(), True),
    ("listening", lambda: socket.create_server(("127.0.0.1", 0)).close(), True),
    ("ipv6", lambda: socket.socket(socket.AF_INET6, S).close(), True),
    ("signal", lambda: os.kill(pid, 0), True),
    ("signal by thread", lambda: call("tgkill", pid, pid, 0), True),
    ("process handle", lambda: closed(call("pidfd_open", pid, 0)), True),
    ("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)), True),
    ("limits of a process", lambda: resource.prlimit(pid, resource.RLIMIT_CORE), True),
    ("trace", lambda: trace(P["victim"]), True),
    ("trace the first process", lambda: trace(1), False),
    ("memory of a process", lambda: foreign_memory(P["victim"]), True),
    ("compare processes", lambda: call("kcmp", pid, pid, 1, 0, 0), True),
    ("mount", lambda: call("mount", b"none", b"/tmp/work", b"tmpfs", 0, 0), False),
    ("unmount", lambda: call("umount2", b"/tmp", 2), False),
    ("new file system", lambda: closed(call("fsopen", b"tmpfs", 0)), True),
    ("detached tree", lambda: closed(call("open_tree", -100, b"/usr", 1)), True),
    ("attributes of a mount", lambda: call("mount_setattr", -100, b"/usr", 0, 0, 0), False),
    ("new root", lambda: call("pivot_root", b"/tmp", b"/tmp/work"), False),
    ("chroot", in_child(lambda: call("chroot", b"/usr")), True),
    ("user namespace", in_child(lambda: call("unshare", 0x10000000)), True),
    ("network namespace", in_child(lambda: call("unshare", 0x40000000)), True),
    ("namespace by clone", lambda: fork(0x10000000), True),
    ("enter a namespace", in_child(lambda: call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0)), True),
    ("session keys", lambda: call("keyctl", 0, -3, 1), True),
    ("add a key", lambda: call("add_key", b"user", b"conveyor-test", b"x", 1, -2), True),
    ("io_uring", uring, True),
    ("bpf", lambda: closed(call("bpf", 0, ctypes.byref((ctypes.c_uint * 18)(2, 4, 8, 1)), 72)), True),
    ("watch the file system", lambda: closed(call("fanotify_init", 0, 0)), True),
    ("page faults", lambda: closed(call("userfaultfd", 1)), True),
    ("file handle", handle, True),
    ("kernel log", lambda: call("syslog", 10, 0, 0), True),
    ("change the host name", lambda: call("sethostname", b"x", 1), False),
    ("accounting", lambda: call("acct", 0), False),
    ("restart", lambda: call("reboot", 0xFEE1DEAD, 672274793, 0x89ABCDEF, 0), False),
    ("kernel module", lambda: call("init_module", b"", 0, b""), False),
    ("other kernel", lambda: call("kexec_load", 0, 0, 0, 0), False),
    ("swap", lambda: call("swapon", b"/tmp/x", 0), False),
    ("become root", in_child(lambda: os.setresuid(0, 0, 0)), True),
    ("write to the system", lambda: create("/usr"), True),
    ("write to /etc", lambda: create("/etc"), True),
    ("write to the root", lambda: create("/"), True),
    ("write to the ledger", lambda: write(P["ledger"]), True),
    ("write to the home", lambda: create(P["home"]), True),
    ("write to the project", lambda: create(os.path.dirname(P["project"])), True),
    ("kernel settings", lambda: write("/proc/sys/kernel/core_pattern"), True),
    ("terminal", lambda: read("/dev/tty"), False),
    ("secret of the environment", env, True),
    ("inherited file", descriptor, True),
    ("many processes", forks, False),
    ("many files", files, False),
    ("large file", big_file, False),
    ("much memory", memory, False),
]

found = {}
for name, action, safe in ACTIONS:
    if not INSIDE and not safe:
        continue
    try:
        action()
        found[name] = "worked"
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"[:80]

if INSIDE:
    print(json.dumps({"agreement": "match", "verdict": "proceed", "rationale": json.dumps(found)}))
else:
    print(json.dumps({"found": found, "all": [name for name, _, _ in ACTIONS]}))

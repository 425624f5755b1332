"""Confines the worker, with the best that the machine offers. Linux only; elsewhere, nothing.

Landlock (through py-landlock) takes away the file system but for what Python needs to run,
TCP, and signals to other processes; seccomp (through pyseccomp, where the system's libseccomp
is there) takes away sockets, tracing, and new namespaces. Both need no privileges and hold for
all that the worker starts. Resource limits bound what one process may use; what all of them
use together is watched by the parent (`session`).

`confine` is called in the worker before it imports learner code, so its answer can be believed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FILES = "files"
NETWORK = "network"
SIGNALS = "signals"
LIMITS = "limits"
# What `--isolation require` asks for.
REQUIRED = frozenset({FILES, NETWORK, SIGNALS, LIMITS})

PACKAGE = Path(__file__).resolve().parent.parent
MAX_FILE_SIZE = 64 * 1024 * 1024
MAX_OPEN_FILES = 256

# What Python, torch and the C library read besides modules. Nothing here is personal.
SYSTEM_FILES = (
    "/etc/ld.so.cache /etc/ld.so.preload /etc/localtime /etc/nsswitch.conf /etc/mime.types "
    "/dev/null /dev/zero /dev/urandom /dev/random /proc/cpuinfo /proc/meminfo /proc/stat "
    "/proc/self /sys/devices/system /sys/fs/cgroup /usr/share/zoneinfo /usr/share/locale "
    "/usr/local/cuda"
)
SYSTEM_LIBRARIES = "/lib /lib64 /usr/lib /usr/lib64 /usr/local/lib"


def confine(folder: Path, cpu_seconds: int, hidden: tuple[Path, ...]) -> frozenset[str]:
    """Confine this process and all that it will start; what is in force afterwards.

    Args:
        folder: the scratch folder, the only one that can be written.
        cpu_seconds: processor time for each process.
        hidden: folders that must not be read even if packages are installed around them.
    """
    if sys.platform != "linux":
        return frozenset()
    force = {LIMITS} if _limit_resources(cpu_seconds) else set()
    # First seccomp, for loading it looks for the system's library.
    force |= {NETWORK} if _seccomp() else set()
    return frozenset(force | _landlock(folder, (*hidden, PACKAGE / "_course")))


def load() -> None:
    """Import what `confine` uses; finding libseccomp takes a while, so it is done ahead."""
    for name in ("py_landlock", "pyseccomp"):
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            importlib.import_module(name)


def _limit_resources(cpu_seconds: int) -> bool:
    import resource

    wanted = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: MAX_FILE_SIZE,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    try:
        for kind, value in wanted.items():
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
    except (OSError, ValueError):
        return False
    return True


def _landlock(folder: Path, hidden: tuple[Path, ...]) -> set[str]:
    try:
        from py_landlock import AccessFs, Landlock, LandlockError
    except ImportError:
        return set()
    read, list_ = AccessFs.READ_FILE, AccessFs.READ_DIR
    try:
        rules = Landlock(strict=False)
        for path in _readable(hidden):
            rules.add_path_rule(path, access=read | list_ if path.is_dir() else read)
        rules.add_path_rule("/dev/null", access=read | AccessFs.WRITE_FILE)
        rules.allow_read_write(folder)
        rules.apply()
    except (LandlockError, OSError):
        return set()
    version = int(rules.abi_version)
    # The kernel confines files since version 1 and signals since version 6; TCP, since version 4,
    # is but a part of the network and does not count as all of it.
    return {FILES} | ({SIGNALS} if version >= 6 else set())


def _readable(hidden: tuple[Path, ...]) -> Iterator[Path]:
    """Python, its packages and the system's libraries, but nothing of what is hidden."""
    folders = [*SYSTEM_FILES.split(), *SYSTEM_LIBRARIES.split(), *sys.path]
    folders.append(os.path.join(sys.base_prefix, "lib"))
    for name in dict.fromkeys(folders):
        if name and os.path.exists(name):
            yield from _around(Path(os.path.realpath(name)), hidden)


def _around(path: Path, hidden: tuple[Path, ...]) -> Iterator[Path]:
    """A path, or where something hidden lies in it, the parts that do not hold it.

    Landlock can only allow, so the way around is to allow all the neighbours.
    """
    if any(path.is_relative_to(each) for each in hidden):
        return
    if not any(each.is_relative_to(path) for each in hidden):
        yield path
        return
    with contextlib.suppress(OSError):
        for entry in path.iterdir():
            yield from _around(entry, hidden)


# What learner code has no use for in a check: ways out of the process but its pipes, rights and
# times of files (which Landlock leaves to everyone), and memory that nobody counts.
FORBIDDEN_CALLS = (
    "socket connect bind listen ptrace process_vm_readv process_vm_writev "
    "unshare setns mount umount2 pivot_root chroot keyctl add_key request_key bpf "
    "perf_event_open userfaultfd io_uring_setup kexec_load init_module finit_module reboot "
    "setpriority ioprio_set chmod fchmod fchmodat fchmodat2 chown fchown lchown "
    "fchownat utime utimes utimensat futimesat setxattr lsetxattr fsetxattr removexattr "
    "lremovexattr fremovexattr shmget semget msgget mq_open memfd_create"
)
# These are refused for any process but the one that calls.
FORBIDDEN_FOR_OTHERS = "prlimit64 sched_setaffinity sched_setscheduler sched_setparam sched_setattr"


def _seccomp() -> bool:
    """Refuse sockets and tracing with "permission denied"; whether that is in force."""
    try:
        import errno

        import pyseccomp
    except (ImportError, OSError, RuntimeError):  # without libseccomp, the import itself raises
        return False
    try:
        rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        for name in FORBIDDEN_CALLS.split():
            with contextlib.suppress(OSError, ValueError):
                rules.add_rule(pyseccomp.ERRNO(errno.EACCES), name)
        for name in FORBIDDEN_FOR_OTHERS.split():
            with contextlib.suppress(OSError, ValueError):
                someone_else = pyseccomp.Arg(0, pyseccomp.NE, 0)
                rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name, someone_else)
        rules.load()
    except (OSError, ValueError, RuntimeError):
        return False
    return True

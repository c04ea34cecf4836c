"""What a sandbox's process gives up before it sees foreign code: files, sockets, processes, most of the kernel.

The code is confined by WebAssembly already. This is for the day on which WebAssembly has a hole.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys

ITS_USER = 65533  # not nobody: that may be a database, whose processes it could reach
DATA_BYTES = 512 * 1024 * 1024  # the interpreter, the compiled engine, and two sandboxes: the old and the next one

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1  # for the engine's threads, too
ALLOW = 0x7FFF0000
KILL = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ARCH_OFFSET, NUMBER_OFFSET = 4, 0

# The calls that computing takes, and reading and writing the pipe that is open. Everything else is refused.
X86_64 = """
    read 0 write 1 close 3 poll 7 mmap 9 mprotect 10 munmap 11 brk 12 rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15
    writev 20 sched_yield 24 mremap 25 madvise 28 nanosleep 35 getpid 39 exit 60 gettimeofday 96 sigaltstack 131
    gettid 186 futex 202 restart_syscall 219 clock_gettime 228 clock_nanosleep 230 exit_group 231 tgkill 234
    set_robust_list 273 getrandom 318 membarrier 324 rseq 334
"""
AARCH64 = """
    close 57 read 63 write 64 writev 66 ppoll 73 exit 93 exit_group 94 futex 98 set_robust_list 99 nanosleep 101
    clock_gettime 113 clock_nanosleep 115 sched_yield 124 restart_syscall 128 tgkill 131 sigaltstack 132
    rt_sigaction 134 rt_sigprocmask 135 rt_sigreturn 139 gettimeofday 169 getpid 172 gettid 178 brk 214 munmap 215
    mremap 216 mmap 222 mprotect 226 madvise 233 getrandom 278 membarrier 283 rseq 293
"""
# By machine: the kernel's name for its architecture, the number of the call that sets a filter, the calls let through.
KERNELS = {"x86_64": (0xC000003E, 317, X86_64), "aarch64": (0xC00000B7, 277, AARCH64)}


class Program(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine(open_files: int) -> None:
    """Give everything up, for good; only the first `open_files` descriptors stay usable.

    What this kernel cannot take away stays: limits and the user work everywhere, the filter of calls on Linux alone.
    """
    os.chdir("/")
    _limit(open_files)
    if hasattr(os, "setresuid") and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(ITS_USER, ITS_USER, ITS_USER)
        os.setresuid(ITS_USER, ITS_USER, ITS_USER)
    if sys.platform == "linux":
        _filter_calls()


def _limit(open_files: int) -> None:
    limits = {
        "RLIMIT_NOFILE": open_files,  # nothing can be opened: no file, no socket
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_DATA": DATA_BYTES,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in limits.items():
        if (number := getattr(resource, name, None)) is not None:
            resource.setrlimit(number, (value, value))


def _filter_calls() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    known = KERNELS.get(platform.machine())
    if known is None:
        return
    architecture, seccomp, calls = known
    instructions = _instructions(architecture, tuple(map(int, calls.split()[1::2])))
    program = Program(len(instructions) // 8, instructions)
    libc.syscall(
        ctypes.c_long(seccomp),
        ctypes.c_ulong(SECCOMP_SET_MODE_FILTER),
        ctypes.c_ulong(SECCOMP_FILTER_FLAG_TSYNC),
        ctypes.byref(program),
    )


def _instructions(architecture: int, allowed: tuple[int, ...]) -> bytes:
    """The filter in the kernel's own code. Calls of another architecture have other numbers: they end the process."""
    rows = [
        (LOAD, 0, 0, ARCH_OFFSET),
        (JUMP_IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_OFFSET),
        *((JUMP_IF_EQUAL, len(allowed) - index, 0, number) for index, number in enumerate(allowed)),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)

"""Turns itself into another program that dies with the process which started it.

Run as a script, by path and with `-I -S`: a function between fork and exec would run in the copy
of a process with threads, and the user of the program may not be able to reach this interpreter.
To the kernel the parent is the thread that started us: it must last as long as the program.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, user: str, argv: list[str]) -> None:
    if user:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if sys.platform == "linux":
        # After the change of user, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the starter was gone before its program began")
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the very purpose
    except OSError as error:
        sys.exit(f"cannot run {argv[0]}: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

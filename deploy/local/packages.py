from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalStackError


def package_dir(name: str) -> Path:
    """Where a package of the optional group `local` is installed, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LocalStackError(
            f"没有安装 Python 包 {name}，内嵌环境无法启动。请运行 make setup 后重试。",
            f"The Python package {name}, part of the embedded stack, is not installed. "
            "Run `make setup` and try again.",
        )
    return Path(spec.submodule_search_locations[0])

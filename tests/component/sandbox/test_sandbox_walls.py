import ast
from pathlib import Path

SANDBOX = Path(__file__).parents[3] / "deploy/sandbox"
OURS = {"contracts", "deploy", "services", "tests"}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name for name in names if name.split(".")[0] in OURS}


def test_the_sandbox_stands_outside_the_product() -> None:
    paths = list(SANDBOX.glob("*.py"))
    assert paths
    for path in paths:
        ours = ("deploy.sandbox", "services.telemetry")  # the latter knows nothing of the product
        strangers = {name for name in imports_of(path) if not name.startswith(ours)}
        assert not strangers, f"{path.name} imports {strangers}"

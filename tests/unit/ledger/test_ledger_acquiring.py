"""Nobody in ledger takes a connection past the wall; who reads across tenants is known by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

LEDGER = Path(__file__).resolve().parents[3] / "services" / "ledger"
WALL = "store/wall.py"
# Who works through all tenants by his nature: he finds whose turn it is, then turns to each.
ACROSS = {
    ("sealer.py", "look"): "counts acts without a seal, of whomever",
    ("sealer.py", "round"): "reads acts in their order, and seals them town by town",
    ("sealer.py", "anchor"): "notes the heads of all chains",
    ("due.py", "_publish_all"): "finds the towns in which something falls due",
}
# Who is given a connection by the chassis, amid a transaction that is of several tenants.
TURNS = {("handlers.py", "on_facts"), ("sealer.py", "round")}
POOLED = {"acquire", "fetch", "fetchrow", "fetchval", "execute", "executemany", "copy_to_table"}


def functions() -> Iterator[tuple[str, str, ast.AST]]:
    """Yield each function of ledger, by file and name; methods too."""
    for path in sorted(LEDGER.rglob("*.py")):
        name = path.relative_to(LEDGER).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node.name, node


def calls(node: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def callers(name: str) -> set[tuple[str, str]]:
    """Return who calls `wall.<name>`."""
    return {
        (file, function)
        for file, function, node in functions()
        for call in calls(node)
        if ast.unparse(call.func) == f"wall.{name}"
    }


def test_connections_are_taken_by_the_wall_alone() -> None:
    taken = {
        (file, ast.unparse(call.func))
        for file, _, node in functions()
        for call in calls(node)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in POOLED
        and ast.unparse(call.func.value).endswith("pool")
    }
    assert taken == {(WALL, "pool.acquire")}


def test_who_reads_across_tenants_is_known_by_name() -> None:
    assert callers("across") == ACROSS.keys()
    assert callers("turn_to") == TURNS
    assert callers("within") == {("due.py", "_publish_of"), ("api/door.py", "within")}


def test_nobody_imports_the_wall_by_another_name() -> None:
    imported = {
        ast.unparse(node)
        for path in LEDGER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import) and "wall" in ast.unparse(node)
    }
    assert all(" as " not in one and "store.wall" not in one for one in imported)


def test_a_door_names_the_callers_own_tenant() -> None:
    named = {
        (file, ast.unparse(call))
        for file, _, node in functions()
        for call in calls(node)
        if ast.unparse(call.func) == "door.within"
    }
    assert {text for _, text in named} == {"door.within(who.tenant_id)"}
    assert {file for file, _ in named} == {
        f"api/{path.name}"
        for path in (LEDGER / "api").glob("*.py")
        if "def make_" in path.read_text(encoding="utf-8")
    }


def test_the_settings_of_the_wall_are_set_there_alone() -> None:
    said = [
        path.relative_to(LEDGER).as_posix()
        for path in LEDGER.rglob("*.py")
        if "set_config" in path.read_text(encoding="utf-8").lower()
        or "chuishao.tenant" in path.read_text(encoding="utf-8")
    ]
    assert said == [WALL]

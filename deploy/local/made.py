"""What each town of a data directory was made up from: its registry does not tell."""

import json
from dataclasses import asdict
from pathlib import Path

from deploy.local.seeding import Size, TownWish

FILE = "towns.json"


def remember(data_dir: Path, wish: TownWish) -> None:
    """Note what a town that is recorded was made up from."""
    path = data_dir / FILE
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known[wish.tenant_id] = {**asdict(wish), "profile": str(wish.profile.resolve())}
    path.write_text(json.dumps(known, ensure_ascii=False, indent=1), encoding="utf-8")


def remembered(data_dir: Path, tenant_id: str) -> TownWish | None:
    """Return what a town was made up from; None of one that an earlier version recorded."""
    path = data_dir / FILE
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if tenant_id not in known:
        return None
    told = known[tenant_id]
    size = Size(**told["size"])
    return TownWish(Path(told["profile"]), told["tenant_id"], size, told["seed"])


def all_remembered(data_dir: Path) -> list[str]:
    """Return the ids of the towns of which something is noted."""
    path = data_dir / FILE
    return list(json.loads(path.read_text("utf-8"))) if path.exists() else []


def ignored(wish: TownWish, made: TownWish | None) -> list[str]:
    """Return the options that cannot reach a town which is there: those given, and not the same."""
    had = made or TownWish(wish.profile, wish.tenant_id)
    asked = {
        "--villages": (wish.size.villages, had.size.villages),
        "--grids": (wish.size.grids, had.size.grids),
        "--people": (wish.size.people, had.size.people),
        "--seed": (wish.seed, had.chosen_seed if made else None),
    }
    options = [
        f"{option} {given}"
        for option, (given, before) in asked.items()
        if given is not None and given != before
    ]
    moved = not had.profile.exists() and wish.profile.stem == had.profile.stem  # with its checkout
    if wish.profile.resolve() != had.profile.resolve() and not moved:
        options.insert(0, f"--tenant {wish.tenant_id}={wish.profile.stem}")
    return options


def told_as_it_was(tenant_id: str, options: list[str]) -> str:
    """Say that a town stays as it was."""
    named = "、".join(options)
    return (
        f"{tenant_id} 已经在数据目录里，保持原样，没有按这些参数改动：{named}。"
        "要按它们重新生成，请加 --fresh（先清空数据）。\n"
        f"{tenant_id} is in the data directory already and stays as it was; ignored: "
        f"{', '.join(options)}. To make it up anew, add --fresh, which erases the data first."
    )

"""A seeded town: generated records go through ledger's own door, as any other change does."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx

from contracts.profile import Profile, load_dict, parse
from deploy.local.errors import LocalStackError
from deploy.local.migrate import ROOT
from deploy.local.secrets import DEMO_FRONT_END
from deploy.seed.numbers import phone_block
from deploy.seed.town import Entry, generate

PROFILES = ROOT / "contracts" / "profiles"
# The town that is started where none is named: an example like the others, and no rule knows it.
DEMO_TOWN = "yihe"
DEFAULT_SEED = 1
# As ledger has its ids, without the colon, which the name of a department's topic cannot hold.
_FILES = (".yaml", ".yml")  # of profiles
_TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIMEOUT = httpx.Timeout(120, connect=5)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a seeded town is; what is not given comes from the profile."""

    villages: int | None = None
    grids: int | None = None
    household_groups: int | None = None
    people: int | None = None


DEFAULT_SIZE = Size()


@dataclass(frozen=True, slots=True)
class TownWish:
    """A town to be seeded: a profile by name or file, under its own tenant id, at a size."""

    profile: Path
    tenant_id: str
    size: Size = DEFAULT_SIZE
    seed: int | None = None

    @property
    def chosen_seed(self) -> int:
        return DEFAULT_SEED if self.seed is None else self.seed


def town_wish(name: str, size: Size = DEFAULT_SIZE, seed: int | None = None) -> TownWish:
    """Read `profile` or `tenant=profile`; a profile is a name or a YAML file.

    Raises:
        LocalStackError: there is no such profile, or no tenant can have that id.
    """
    profile = name.rpartition("=")[2]
    path = Path(profile) if profile.endswith(_FILES) else PROFILES / f"{profile}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml") if one.stem != "base"))
        raise LocalStackError(
            f"没有镇配置 {profile}。可用：{known}，或给出一个 YAML 文件。",
            f"No profile {profile}. There are: {known}; or give a YAML file.",
        )
    return TownWish(path, tenant_named(name), size, seed)


def tenant_named(name: str) -> str:
    """Return the tenant's id of `profile` or `tenant=profile`; a profile's file is named apart.

    Raises:
        LocalStackError: no tenant can have that id.
    """
    tenant, given, profile = name.rpartition("=")
    own = Path(profile).stem if profile.endswith(_FILES) else profile
    tenant_id = tenant if given else own
    if not _TENANT_ID.fullmatch(tenant_id):
        raise LocalStackError(
            f"--tenant {name}：镇的编号 {tenant_id!r} 不合规。应以字母或数字开头，只含字母、数字"
            f"和 . _ -，最多 64 个字符，如 --tenant t-1={profile}。",
            f"--tenant {name}: {tenant_id!r} is no id for a tenant. It begins with a letter or "
            "digit and has letters, digits and . _ - alone, 64 at most, as in "
            f"--tenant t-1={profile}.",
        )
    return tenant_id


def check_together(wishes: Sequence[TownWish]) -> None:
    """Check that towns can share a stack.

    Raises:
        LocalStackError: two have one id, or their staff would have one another's telephones.
    """
    for one, other in combinations(wishes, 2):
        if one.tenant_id == other.tenant_id:
            raise LocalStackError(
                f"--tenant：编号 {one.tenant_id} 给了两次。同一套里每个镇要有自己的编号，"
                f"如 --tenant {one.tenant_id}-2={other.profile.stem}。",
                f"--tenant: the id {one.tenant_id} was given twice. Each town of a stack needs its "
                f"own, as in --tenant {one.tenant_id}-2={other.profile.stem}.",
            )
        if phone_block(one.tenant_id) == phone_block(other.tenant_id):
            raise LocalStackError(
                f"--tenant：{one.tenant_id} 和 {other.tenant_id} 会用到同一段电话号码。"
                f"请给其中一个换个编号，如 --tenant {other.tenant_id}-2={other.profile.stem}。",
                f"--tenant: {one.tenant_id} and {other.tenant_id} would share their telephone "
                f"numbers. Choose another id for one of them, as in --tenant {other.tenant_id}-2="
                f"{other.profile.stem}.",
            )


def profile_of(wish: TownWish) -> Profile:
    """Read a town's profile.

    Raises:
        LocalStackError: the profile is impossible; the text names each fault.
    """
    try:
        return parse(load_dict(wish.profile), source=str(wish.profile))
    except ValueError as error:
        raise LocalStackError(f"{wish.profile.name}：", str(error)) from error


def entries_of(wish: TownWish) -> list[Entry]:
    """Generate a town's records.

    Raises:
        LocalStackError: profile or size is impossible; the text names each fault.
    """
    profile_of(wish)
    try:
        body = load_dict(wish.profile)
        return list(
            generate(
                body,
                seed=wish.chosen_seed,
                tenant_id=wish.tenant_id,
                villages=wish.size.villages,
                grids=wish.size.grids,
                household_groups=wish.size.household_groups,
                people=wish.size.people,
            )
        )
    except ValueError as error:
        raise LocalStackError(f"{wish.profile.name}：", str(error)) from error


def front_end_line(key_digest: str) -> dict[str, Any]:
    """Return the record of the demo front end."""
    body = {
        "zh": "演示前端",
        "kind": "platform",
        "key_digest": key_digest,
        "quota_per_s": 2_000,
        "burst": 4_000,
    }
    return {"kind": "front_end", "id": DEMO_FRONT_END, "body": body}


def ndjson(lines: Iterable[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()


async def post_set(
    ledger_url: str,
    token: str,
    change_set: str,
    lines: Sequence[dict[str, Any]],
    **about: str,
) -> dict[str, Any]:
    """Send a change set through ledger's door; `about` it: `valid_from`, `reason`."""
    return await post_lines(ledger_url, token, change_set, ndjson(lines), **about)


async def post_lines(
    ledger_url: str, token: str, change_set: str, content: bytes, **about: str
) -> dict[str, Any]:
    """Send a change set that is written as NDJSON already."""
    async with httpx.AsyncClient(base_url=ledger_url, timeout=_TIMEOUT) as client:
        answer = await client.post(
            f"/v1/registry/change-sets/{change_set}",
            content=content,
            params=about,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/x-ndjson",
            },
        )
    return _checked(answer)


async def set_clock(ledger_url: str, token: str, to: datetime) -> dict[str, Any]:
    """Set a tenant's virtual clock."""
    async with httpx.AsyncClient(base_url=ledger_url, timeout=_TIMEOUT) as client:
        answer = await client.post(
            "/v1/dev/clock",
            json={"set_to": to.isoformat()},
            headers={"Authorization": f"Bearer {token}"},
        )
    return _checked(answer)


class LedgerRefusedError(LocalStackError):
    """Ledger's door refused; `errors` are its faults, each by field."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.errors: list[dict[str, Any]] = body.get("errors", [])
        detail = json.dumps(body.get("errors", body.get("detail")), ensure_ascii=False)[:2_000]
        super().__init__(f"台账服务没有接受：{body.get('title')}", f"The ledger refused: {detail}")


def _checked(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise LedgerRefusedError(body)
    return body

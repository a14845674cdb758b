"""Who may do what to the registry, told a second time: by a table of rights and from above.

Written apart from the service's own rule, which asks what lies above a record: this one asks what
lies below a caller.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROFILES = ("changping", "gucheng", "haohuahong", "yidukou", "yihe")
# What each right opens: how a town is built, what is kept of people, and that unmasked.
OPENS: Mapping[str, str] = {
    "report": "built", "evaluate": "built", "claim": "built", "propose": "built", "score": "built",
    "view": "built", "dispatch": "built kept", "transfer": "built kept", "supervise": "built kept",
    "close": "built kept", "whistle": "built kept", "review": "built kept",
    "sign_off": "built kept",
    "accept": "built kept plain", "verify": "built kept plain", "handle": "built kept plain",
    "register": "built kept plain", "mediate": "built kept plain", "report_in": "built kept plain",
    "return_visit": "built kept plain", "sensitive": "built kept sensitive",
}  # fmt: skip
TAKES: Mapping[str, str] = {"read": "", "list": "", "history": "", "search": "", "coverage": "kept",
                            "unmask": "plain", "sensitive": "sensitive"}  # fmt: skip
BUILT = {"tenant", "profile", "calendar", "clock", "code_list", "unit", "department", "party_unit"}


def roles_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what each role of a town's profile can, as it is recorded; and two that are none."""
    (profile,) = (one["body"]["body"] for one in lines if one["kind"] == "profile")
    return {**{role["id"]: role.get("can", []) for role in profile["roles"]}, "operator": [],
            "nobody_knows": []}  # fmt: skip


def below(unit: str, children: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a unit and all that is below it."""
    yield unit
    for child in children.get(unit, ()):
        yield from below(child, children)


def code(role: str, can: Sequence[str], verb: str, kind: str, *, within: bool) -> str:
    """Tell how a caller is answered; `within`: what is asked for lies below a unit of his."""
    if role == "operator" and verb != "sensitive":
        return "allowed"
    if verb not in TAKES:
        return "operator_only"
    opened = {word for right in can for word in OPENS[right].split()} if "view" in can else set()
    needed = {"built" if kind in BUILT else "kept", *TAKES[verb].split()}
    if not needed <= opened:
        return "right_missing"
    return "allowed" if within else "unit_not_allowed"

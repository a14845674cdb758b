"""Who may do what to the registry: roles by the profile's `can`, scope by the tree of units.

`allow` is the one place that decides; every door that shows or changes a record asks it. No
database here: what somebody's roles can, and where a record belongs, is handed in. It holds as of
the newest profile, so a right that a version takes away is gone at once: `view` is the right
without which the others are nothing.
"""

from dataclasses import dataclass
from typing import Literal

Verb = Literal[
    "read", "list", "history", "search", "coverage", "unmask", "sensitive", "change", "import",
    "erase",
]  # fmt: skip
OPERATOR = "operator"
# What only an operator does, whatever a profile says.
_OPERATORS: frozenset[Verb] = frozenset(("change", "import", "erase"))
# How a town is built: whoever may look at it at all may look at these.
OPEN_KINDS = frozenset(
    ("tenant", "profile", "calendar", "clock", "code_list", "unit", "department", "party_unit")
)
# What a resident may do too: it opens nobody's record.
_RESIDENTS = frozenset(("report", "evaluate", "claim", "propose", "score", "view"))
# Whose work leads to people themselves: who reports, is called on, is registered.
_TO_PEOPLE = frozenset(
    ("accept", "verify", "handle", "register", "mediate", "report_in", "return_visit")
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks. `can`: what the newest profile lets the roles do, together; none without one."""

    tenant_id: str
    roles: frozenset[str]
    units: frozenset[str] = frozenset()
    can: frozenset[str] = frozenset()
    department: str | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """What is asked for. `path`: the units it belongs to and those above, the town's own with them.

    `whole`: all of the town, whose path is the town's own unit alone. `known`: it is, was, or
    will be.
    """

    tenant_id: str
    kind: str
    path: frozenset[str] = frozenset()
    whole: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and why not: a stable code, told in Chinese and English."""

    code: str = "allowed"
    zh: str = "可以。"
    en: str = "Allowed."

    @property
    def allowed(self) -> bool:
        return self.code == "allowed"


_ALLOWED = Decision()
_NOT_THERE = Decision("record_not_found", "没有这条记录。", "There is no such record.")
_OPERATOR_ONLY = Decision(
    "operator_only", "只有运维人员可以这样做。", "Only an operator may do this."
)
_NO_VIEW = Decision(
    "right_missing",
    "您的角色在镇配置里没有“查看”（view）：请镇里核对角色。",
    "The profile gives your roles no `view`: let the town look at your roles.",
)
_RESIDENT = Decision(
    "right_missing",
    "这类记录给办事的人看，您的角色在镇配置里没有办事的权限。",
    "This is for those who work for the town: the profile gives your roles no such right.",
)
_NOT_TO_PEOPLE = Decision(
    "right_missing",
    "看原文要有受理、核实、办理、登记、调解、报到或回访之一的权限。",
    "To see it unmasked takes one of accept, verify, handle, register, mediate, report_in, "
    "return_visit.",
)
_NOT_SENSITIVE = Decision(
    "right_missing",
    "敏感人群只给有专门权限（sensitive）的角色，运维人员也不例外：请镇里核对角色。",
    "Sensitive groups take the right `sensitive`, of operators too: let the town look at roles.",
)
_OTHERS = Decision(
    "unit_not_allowed", "这条记录不归您的单位。", "This record does not belong to your unit."
)
_TOWNS = Decision(
    "unit_not_allowed",
    "全镇的由镇里查看；请用 unit 或 household 指明您单位的。",
    "The whole is for the town: name a unit of yours, or a household.",
)
_COVERAGE = Decision(
    "unit_not_allowed",
    "登记是否齐全由镇里查看。",
    "Coverage is for the town's own staff.",
)


def allow(subject: Subject, verb: Verb, what: Object) -> Decision:
    """Decide whether somebody may do something to a record, or to all of a kind."""
    if subject.tenant_id != what.tenant_id or not what.known:
        return _NOT_THERE
    if OPERATOR in subject.roles and verb != "sensitive":
        return _ALLOWED
    if verb in _OPERATORS:
        return _OPERATOR_ONLY
    return _lacking(subject.can, verb, what.kind) or _reaching(subject, verb, what) or _ALLOWED


def _lacking(can: frozenset[str], verb: Verb, kind: str) -> Decision | None:
    """Tell which right is missing."""
    if "view" not in can:
        return _NO_VIEW
    if verb == "sensitive":
        return None if verb in can else _NOT_SENSITIVE
    if (kind not in OPEN_KINDS or verb == "coverage") and can <= _RESIDENTS:
        return _RESIDENT
    return _NOT_TO_PEOPLE if verb == "unmask" and not can & _TO_PEOPLE else None


def _reaching(subject: Subject, verb: Verb, what: Object) -> Decision | None:
    """Tell whether it lies outside somebody's units and what is below them."""
    if verb == "coverage":
        theirs = subject.department is None and subject.units & what.path
        return None if theirs else _COVERAGE
    if subject.units & what.path:
        return None
    return _TOWNS if what.whole else _OTHERS

"""The town profile: all that differs between towns, in one checked and frozen value.

`load` reads a town's file, `load_dict` gives the merged mapping that gets published, and `parse`
turns a published mapping back into a `Profile`. `docs/profile.md` tells how to write one.
"""

from contracts.profile.cases import CaseClass, Cases, Category, Severity
from contracts.profile.doors import FrontEnd, NotificationRule, Notifications
from contracts.profile.duration import Duration
from contracts.profile.files import load, load_dict, parse
from contracts.profile.flows import DRAFT, Flow, Means, Scope, Step
from contracts.profile.merging import merge
from contracts.profile.notices import NOTICES, SCORES
from contracts.profile.parts import WEEKDAYS, Deadline, Every, Words
from contracts.profile.problems import Problem, ProfileError
from contracts.profile.references import PSEUDO_ROLES
from contracts.profile.routine import SENSITIVE, Cadence
from contracts.profile.town import Department, Duty, Level, Role
from contracts.profile.whistle import Settle, Whistle
from contracts.profile.whole import Profile

__all__ = [
    "DRAFT",
    "NOTICES",
    "PSEUDO_ROLES",
    "SCORES",
    "SENSITIVE",
    "WEEKDAYS",
    "Cadence",
    "CaseClass",
    "Cases",
    "Category",
    "Deadline",
    "Department",
    "Duration",
    "Duty",
    "Every",
    "Flow",
    "FrontEnd",
    "Level",
    "Means",
    "NotificationRule",
    "Notifications",
    "Problem",
    "Profile",
    "ProfileError",
    "Role",
    "Scope",
    "Settle",
    "Severity",
    "Step",
    "Whistle",
    "Words",
    "load",
    "load_dict",
    "merge",
    "parse",
]

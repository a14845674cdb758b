"""From files to a profile: read, merge into what is extended, check the whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.profile import flow_rules, references, rules
from contracts.profile.faults import problems_of
from contracts.profile.merging import merge
from contracts.profile.problems import Problem, ProfileError
from contracts.profile.whole import Profile
from contracts.profile.yaml_file import read


def load(path: Path) -> Profile:
    """Read a town's file with all that it extends.

    Raises:
        ProfileError: a file cannot be read, or the profile has faults.
    """
    return parse(load_dict(path), source=path.name)


def load_dict(path: Path) -> dict[str, Any]:
    """Read a town's file and merge it into what it extends: the mapping that gets published.

    Raises:
        ProfileError: a file cannot be read.
    """
    own = read(path)
    chain = [path.resolve()]
    layers = [own]
    while extends := layers[-1].get("extends"):
        at = f"{chain[-1].name}.extends"
        if not isinstance(extends, str):
            raise ProfileError((Problem(at, "应为文件名", "expected a file's name"),))
        chain.append((chain[-1].parent / extends).resolve())
        if chain[-1] in chain[:-1]:
            raise ProfileError((Problem(at, "绕成了一圈", "leads in a circle"),))
        layers.append(read(chain[-1]))
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    return merged


def parse(mapping: Mapping[str, Any], *, source: str = "") -> Profile:
    """Turn a merged mapping into a profile.

    Raises:
        ProfileError: with every fault of form; where there is none, with every fault of meaning.
    """
    try:
        profile = Profile.model_validate(mapping)
    except ValidationError as error:
        raise ProfileError(problems_of(error, Profile, mapping), source) from None
    if problems := list(_problems(profile, mapping)):
        raise ProfileError(tuple(sorted(problems, key=lambda problem: problem.path)), source)
    return profile


def _problems(profile: Profile, mapping: Mapping[str, Any]) -> Iterator[Problem]:
    for rule in (
        references.ids_used_twice,
        references.unknown_ids,
        rules.everywhere,
        rules.clock,
        rules.tree,
        rules.roles,
        rules.duty,
        rules.cases,
        rules.ladder,
        rules.quiet_hours,
        rules.sensitive_groups,
        flow_rules.flows,
        flow_rules.whistle,
    ):
        yield from rule(profile)
    yield from rules.assumed(profile, mapping)

"""Which town a report is for: by its id, or by a division code that is its alias at that moment."""

from datetime import datetime

from contracts.division import whole_code
from services.chassis.http import Problem
from services.intake.registry import Granted, Registry, TownKnown


def town_named(name: str, granted: Granted, registry: Registry, now: datetime) -> str:
    """Return the town's id. One that the key is not for looks like one that is not there.

    `now` is real; each town's aliases count by its own time.

    Raises:
        Problem: 404, there is none; 422, the code is no code, lapsed, or several towns'.
    """
    if name in registry.towns:
        if name in granted:
            return name
        raise _unknown()
    code = whole_code(name)
    if code is None and name.isdigit():
        zh, en = "区划代码应为 12 位数字。", "A division code has 12 digits: check `tenant`."
        raise Problem(422, "division_code_malformed", zh, en, field="tenant")
    if code is None:
        raise _unknown()
    ours = {one: registry.towns[one] for one in granted if one in registry.towns}
    holding = [one for one, town in ours.items() if _holds(town, code, now)]
    if len(holding) > 1:
        zh = "这个密钥有几个镇在用这个区划代码，请写镇的编号。"
        en = "Several towns of this key hold this code: name the town's id in `tenant`."
        raise Problem(422, "division_code_ambiguous", zh, en, field="tenant")
    if holding:
        return holding[0]
    lapsed = [one for one, town in ours.items() if _holds(town, code, None)]
    if lapsed:
        zh = f"区划代码 {name} 此时不在有效期内，请写镇的编号 {lapsed[0]}，或现行代码。"
        en = f"Code {name} is not valid now: name the town, {lapsed[0]}, or its present code."
        raise Problem(422, "division_code_lapsed", zh, en, field="tenant")
    raise _unknown()


def _holds(town: TownKnown, code: str, now: datetime | None) -> bool:
    """Tell whether a code is the town's at a real moment; without one, whether it ever was."""
    at = None if now is None else town.offsets.tenant_time(now)
    return any(
        whole_code(alias.code) == code
        and (at is None or alias.valid_from <= at)
        and (at is None or alias.valid_to is None or at < alias.valid_to)
        for alias in (town.tenant.aliases if town.tenant else ())
    )


def _unknown() -> Problem:
    zh = "没有这个镇，或者这个密钥不能为它上报。"
    en = "No such tenant, or this key is not for it: check `tenant`."
    return Problem(404, "tenant_unknown", zh, en, field="tenant")

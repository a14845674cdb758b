"""Schemathesis at each service's OpenAPI document: every check, no 5xx, no word against the schema.

It is run as its users run it: as a command, seeded, against a whole stack.
"""

import asyncio
import itertools
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.replay import send_all
from deploy.cli.told import Town
from deploy.local.layout import SERVICES
from deploy.local.whole import OPERATOR, Running
from tests.faults.ground import bodies, ground, state_of

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
HOOKS = Path(__file__).with_name("hooks.py")
SEED = 20250303
SHORT_S, LONG_S = 30, 300
TENANT, CASES = "yidukou", 40
DEPARTMENTS = ("police", "justice")
# Doors that are left out, and why.
LEFT_OUT: Mapping[str, str] = {
    "/v1/dev/clock": "it moves the town's time, at most ten years ahead and never back",
    "/v1/departments/{department}/stream": "a stream has no end to be checked",
}
# Checks that are left out, and why.
UNCHECKED: Mapping[str, str] = {
    "positive_data_acceptance": "hooks.py does it, and knows the rules that no schema can tell",
    "negative_data_rejection": "hooks.py does it, and reads the answers of a batch one by one",
}
_SELECTED, _TESTED = re.compile(r"Selected: (\d+)/"), re.compile(r"Tested: (\d+)")
# As often as this, a value that is there stands for one that was made up.
OFTEN = 0.6
BOUND = {
    "path.case_id": "cases",
    "query.case_id": "cases",
    "body.case_id": "cases",
    "path.whistle_id": "whistles",
    "body.whistle_id": "whistles",
    "path.code": "codes",
    "path.department": "departments",
    "body.department": "departments",
    "body.departments[*]": "departments",
    "body.tenant": "tenants",
    "path.unit": "units",
}
# Nothing is to be learnt from a 429.
ENV = {"intake": {"INTAKE_TRACK_PER_MINUTE": "1000000", "INTAKE_TRACK_BURST": "1000000"}}


@pytest.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, Path]]:
    """Run a town in which something has happened, and write down what schemathesis may use."""
    place = tmp_path_factory.mktemp("surface")
    async with ground(place / "stack", tenants=(TENANT,), more_env=ENV) as running:
        known = await happened(running)
        config = place / "schemathesis.toml"
        config.write_text("\n".join(lines_of(known, credentials(running))))
        yield running, config


async def happened(running: Running) -> dict[str, Sequence[str]]:
    """Report cases and call departments to some; return the values by which doors are asked."""
    state, some = state_of(running), itertools.islice(bodies(running, TENANT), CASES)
    sent = await send_all(state, [(f"surface-{n}", body) for n, body in enumerate(some)])
    cases = [str(one) for one in sent.cases.values()]
    whistles = [await blown(Town(state, TENANT), one) for one in cases[: CASES // 2]]
    return {
        "cases": cases,
        "whistles": whistles,
        "codes": list(sent.codes.values()),
        "departments": DEPARTMENTS,
        "tenants": [TENANT],
        "units": ["town"],
    }


async def blown(town: Town, case_id: str) -> str:
    case = await town.opened(case_id)
    body = {"departments": DEPARTMENTS, "reason": "三次调解未果", "expected_seq": case["seq"]}
    path = f"/v1/cases/{case_id}/whistles"
    return str((await town.post(path, body, "center_clerk", units=["town"]))["whistle_id"])


def credentials(running: Running) -> dict[str, dict[str, str]]:
    """Return what opens every door: everybody's roles at once."""
    (profile,) = (one.body for one in running.towns[TENANT] if one.kind == "profile")
    roles = [role["id"] for role in profile["body"]["roles"]]
    who: dict[str, Any] = {"units": ["town"], "department": DEPARTMENTS[0]}
    return {
        "token": {"bearer": running.token(TENANT, OPERATOR, *roles, **who)},
        "api_key": {"api_key": running.secrets.api_key},
        "receipts_token": {"api_key": running.secrets.receipts_token_file.read_text().strip()},
    }


def lines_of(
    known: Mapping[str, Sequence[str]], keys: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    yield f"hooks = {json.dumps(str(HOOKS))}"
    yield "[dictionaries]"
    yield from (f"{name} = {{ values = {json.dumps(some)} }}" for name, some in known.items())
    yield "[parameters]"
    for where, name in BOUND.items():
        yield f'"{where}" = {{ dictionary = "{name}", probability = {OFTEN} }}'
    yield "[auth.openapi]"
    for name, ((kind, value),) in ((name, key.items()) for name, key in keys.items()):
        yield f"{name} = {{ {kind} = {json.dumps(value)} }}"


async def ask_all(service: str, running: Running, config: Path, seconds: int) -> None:
    """Let schemathesis ask one service; what it prints is the test's output."""
    argv = ["--config-file", str(config), "--no-color", "run"]
    argv += [f"{running.url(service)}/openapi.json", "--checks", "all", "--seed", str(SEED)]
    argv += ["--max-time", str(seconds), "--generation-database", "none"]
    argv += ["--exclude-checks", ",".join(UNCHECKED)]
    argv += itertools.chain.from_iterable(("--exclude-path", one) for one in LEFT_OUT)
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS, *argv, stdout=PIPE, stderr=STDOUT, cwd=config.parent
    )
    said = (await process.communicate())[0].decode()
    sys.stdout.write(f"\n== {service}\n{said}\n")
    assert process.returncode == 0, f"{service}: see what schemathesis printed"
    (selected,), (tested,) = _SELECTED.findall(said), _TESTED.findall(said)
    assert selected == tested, f"{service}: {selected} doors, of which {tested} were asked in time"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_surface_is_as_its_document_says(told: tuple[Running, Path], service: str) -> None:
    await ask_all(service, *told, SHORT_S)


@pytest.mark.long
@pytest.mark.timeout(LONG_S + 120)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_surface_is_so_for_minutes(told: tuple[Running, Path], service: str) -> None:
    await ask_all(service, *told, LONG_S)

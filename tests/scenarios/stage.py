"""A town of its own for each scenario, on one stack, with a clock of its own."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from deploy.cli.clock import ask_clock
from deploy.cli.told import Town
from deploy.local.quiet import Watch
from deploy.local.seeding import post_set
from deploy.local.state import StackState
from deploy.local.whole import OPERATOR, Running
from deploy.seed.town import Entry
from tests.faults.ground import state_of
from tests.waiting import PATIENCE_S, taken, until

ZONE = ZoneInfo("Asia/Shanghai")
# The scenario's own time goes on while it is told; nothing in it takes longer than this.
TELLING_MAX = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts: what the token says of him."""

    role: str
    unit: str = ""
    staff: str = "dev"
    department: str | None = None


CLERK = Person("center_clerk", "town", "s-clerk")
LEADER = Person("town_leader", "town", "s-leader")


def officer(department: str) -> Person:
    return Person("department_officer", staff=f"s-{department}", department=department)


def local(moment: str) -> datetime:
    """Read `2025-03-03T09:00` as the town's clocks show it."""
    return datetime.fromisoformat(moment).replace(tzinfo=ZONE)


def is_about(shown: str | datetime, moment: str) -> bool:
    """Whether a moment is the one of the scenario, or as much later as telling it has taken."""
    at = datetime.fromisoformat(shown) if isinstance(shown, str) else shown
    return timedelta() <= at - local(moment) <= TELLING_MAX


@dataclass(slots=True)
class Stage:
    """One town on the running stack, and the doors through which its people act."""

    running: Running
    tenant: str
    state: StackState = field(init=False)
    _keys: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.state = state_of(self.running)  # once: to find the databases takes it 25 ms

    # --- time ----------------------------------------------------------------------------------

    async def at(self, moment: str) -> None:
        """Go to a moment of the town's time, and wait until all that fell due is done."""
        await self._move(set_to=local(moment).isoformat())

    async def past(self, shown: str) -> None:
        """Go just past a moment that a door has shown, such as when something is due."""
        moment = datetime.fromisoformat(shown) + timedelta(seconds=1)
        await self._move(set_to=moment.isoformat())

    async def settled(self) -> None:
        """Wait until all that is under way for this town is done."""
        await self._move(advance_s=0)

    async def _move(self, **by: Any) -> None:
        """Move the town's clock as `chuishao clock` does."""
        answer = await self._call("POST", "ledger", "/v1/dev/clock", Person(OPERATOR), by)
        assert answer.is_success, answer.text
        async with Watch(self.state) as watch:
            await watch.until_quiet(PATIENCE_S, self.tenant)

    async def now(self) -> datetime:
        return datetime.fromisoformat((await ask_clock(self.state, self.tenant, None))["now"])

    # --- doors ---------------------------------------------------------------------------------

    def door(self, service: str) -> httpx.AsyncClient:
        """Open a client. To make ready for TLS, which nothing here has, takes it 50 ms."""
        url = self.state.url(service)
        return httpx.AsyncClient(base_url=url, timeout=20, verify=False)  # noqa: S501 - no TLS

    async def get(self, service: str, path: str, by: Person = CLERK) -> Any:
        answer = await self._call("GET", service, path, by)
        assert answer.is_success, answer.text
        return answer.json()

    async def post(self, path: str, by: Person, **body: Any) -> dict[str, Any]:
        """Act at routing's door."""
        answer = await self._call("POST", "routing", path, by, body)
        assert answer.is_success, answer.text
        done: dict[str, Any] = answer.json()
        return done

    async def refused(self, path: str, by: Person, **body: Any) -> dict[str, Any]:
        """Act at routing's door, and be refused; return the problem."""
        answer = await self._call("POST", "routing", path, by, body)
        assert answer.is_client_error, answer.text
        problem: dict[str, Any] = answer.json()
        return problem

    async def _call(
        self, method: str, service: str, path: str, by: Person, body: Any = None
    ) -> httpx.Response:
        token = self.state.token(
            self.tenant, by.role, units=[by.unit], staff=by.staff, department=by.department
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with self.door(service) as client:
            return await client.request(method, path, json=body, headers=headers)

    # --- a case --------------------------------------------------------------------------------

    async def report(
        self, summary: str = "两户争执", key: str | None = None, **body: Any
    ) -> dict[str, Any]:
        """Report something as the demo front end; return the case once it is opened.

        The answer at intake's door is there as `accepted`. `key` is the Idempotency-Key.
        """
        key = key or f"{self.tenant}-{next(self._keys)}"
        headers = {"X-Api-Key": self.state.api_key, "Idempotency-Key": key}
        given = {"tenant": self.tenant, "summary": summary, **body}
        async with self.door("intake") as client:
            answer = await taken(lambda: client.post("/v1/cases", json=given, headers=headers))
        accepted = answer.json()
        path = f"/v1/cases/{accepted['case_id']}"

        async def opened() -> Any:
            answer = await self._call("GET", "routing", path, CLERK)
            return answer.json() if answer.is_success else None

        return {**await until(opened, "the case is opened"), "accepted": accepted}

    async def case(self, case: Mapping[str, Any], by: Person = CLERK) -> dict[str, Any]:
        found: dict[str, Any] = await self.get("routing", f"/v1/cases/{case['case_id']}", by)
        return found

    async def step(
        self, case: Mapping[str, Any], step: str, by: Person, **given: Any
    ) -> dict[str, Any]:
        """Take a step of the case's flow as it stands; return the case. A proof is posted first."""
        seq = (await self.case(case))["seq"]
        path = f"/v1/cases/{case['case_id']}/steps"
        given = await self._with_proof(given)
        return await self.post(path, by, step=step, expected_seq=seq, **given)

    async def step_refused(
        self, case: Mapping[str, Any], step: str, by: Person, **given: Any
    ) -> dict[str, Any]:
        seq = (await self.case(case))["seq"]
        path = f"/v1/cases/{case['case_id']}/steps"
        given = await self._with_proof(given)
        return await self.refused(path, by, step=step, expected_seq=seq, **given)

    async def _with_proof(self, given: Mapping[str, Any]) -> dict[str, Any]:
        town = Town(self.state, self.tenant)
        named = given.get("proof", ())
        posted = {"proof": [await town.attach(name) for name in named]} if named else {}
        return {**given, **posted}

    async def whistle(
        self, case: Mapping[str, Any], departments: Sequence[str], by: Person = CLERK, **more: Any
    ) -> dict[str, Any]:
        """Call departments; return the whistle as its answer shows it."""
        seq = (await self.case(case))["seq"]
        path = f"/v1/cases/{case['case_id']}/whistles"
        body = {"departments": list(departments), "reason": "需部门会商", **more}
        return await self.post(path, by, expected_seq=seq, **body)

    async def report_in(
        self, whistle: Mapping[str, Any], department: str, means: str = "remote"
    ) -> dict[str, Any]:
        path = f"/v1/whistles/{whistle['whistle_id']}/report-ins"
        return await self.post(path, officer(department), department=department, means=means)

    async def slots(self, case: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return each called department's part, by department."""
        whistles = (await self.case(case))["whistles"]
        return {slot["department"]: slot for one in whistles for slot in one["slots"]}

    async def facts(self, case: Mapping[str, Any], *types: str) -> list[dict[str, Any]]:
        """Return what routing's history tells, in order; of these types, if any is named."""
        told = await self.get("routing", f"/v1/cases/{case['case_id']}/history")
        return [fact for fact in told["facts"] if not types or fact["type"] in types]

    async def messages(self, case: Mapping[str, Any], *notices: str) -> list[dict[str, Any]]:
        """Return what notify tells of a case: to whom, of what, by which attempts."""
        told = await self.get("notify", f"/v1/messages?case_id={case['case_id']}")
        return [one for one in told["messages"] if not notices or one["notice"] in notices]

    async def told(self, case: Mapping[str, Any], notice: str) -> dict[str, dict[str, Any]]:
        """Return the message to each who was told of something, once nothing is under way."""

        async def ended() -> Any:
            found = await self.messages(case, notice)
            under_way = any(one["state"] in ("open", "accepted") for one in found)
            return None if under_way else found

        found = await until(ended, f"{notice} is told")
        by_person = {one["recipient"]: one for one in found}
        assert len(by_person) == len(found), "somebody was told twice"
        return by_person

    async def phones(self, case: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what the sandbox's phones have shown or rung of a case."""
        asked = {"words": case["number"], "reached": "true"}
        async with self.door("sandbox") as client:
            answer = await client.get("/sandbox/messages", params=asked)
        # Numbers are counted in each town by itself: its phones tell whose they are.
        mine = {str(one.body.get("phone")) for one in self.entries("staff")}
        return [one for one in answer.json()["messages"] if one["phone"] in mine]

    # --- the registry --------------------------------------------------------------------------

    def entries(self, kind: str) -> list[Entry]:
        """Return the seeded records of one kind."""
        return [one for one in self.running.towns[self.tenant] if one.kind == kind]

    def person(self, role: str, unit: str, nth: int = 0) -> Person:
        """Return one of those on a unit's roster in a role, the first by rank unless told."""
        posted = [
            (post["rank"], one.record_id)
            for one in self.entries("staff")
            for post in one.body["posts"]
            if (post["role"], post["unit"]) == (role, unit)
        ]
        return Person(role, unit, sorted(posted)[nth][1])

    def serving(self, role: str, department: str) -> Person:
        """Return the first of a department's people in a role."""
        posted = [
            (post["rank"], one.record_id)
            for one in self.entries("staff")
            for post in one.body["posts"]
            if (post["role"], one.body.get("department")) == (role, department)
        ]
        return Person(role, "town", min(posted)[1], department)

    async def change(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Change the registry, and wait until routing and notify have read it."""
        token = self.state.token(self.tenant, OPERATOR)
        url = self.state.url("ledger")
        await post_set(url, token, name, [dict(line) for line in lines])
        await self.settled()

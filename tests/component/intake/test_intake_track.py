"""What a reporter may follow: found by the code however it is written, and nothing personal."""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    Actor,
    CaseAssignedV1,
    CaseClosedV1,
    CaseDeadlineSetV1,
    CaseDeadlineWarnedV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseStepTakenV1,
    Owner,
)
from deploy.local.ports import unused_ports
from deploy.local.secrets import Secrets
from services.intake.domain.tracking import shown_code
from tests.component.intake.window import Window, open_window, told
from tests.factories import START, TENANT

WORKER = Owner(unit="g01", role="grid_worker", staff="s-gw-01")
CLERK = Owner(unit="town", role="center_clerk", staff="s-cc-01")
BY = Actor(staff="s-gw-01", role="grid_worker", unit="g01")
SYSTEM = Actor(staff="system", role="system", unit="g01")


class Story:
    """One case, as routing announces it."""

    def __init__(self, window: Window, flow: str = "closed_loop") -> None:
        self.window, self.flow, self.case_id, self.seq = window, flow, uuid4(), 0

    @property
    def code(self) -> str:
        return self.window.ring.tracking_code(TENANT, str(self.case_id))

    def event(self, data: Fact, case_id: UUID | None = None) -> Event:
        self.seq += 1
        subject = case_id or self.case_id
        return Event(
            event_id=effect_id(subject, f"{self.seq}"),
            tenant_id=TENANT,
            subject_id=subject,
            occurred_at=START + timedelta(minutes=self.seq),
            source="/routing",
            data=data,
            seq=self.seq,
        )

    def opened(self) -> Event:
        return self.event(
            CaseOpenedV1(
                number="250303-0001", front_end="demo", category="other",
                severity="ordinary", case_class="general", flow=self.flow, profile_version=1,
                state="reported", grid="g01", village="v1", owner=WORKER, received_at=START,
            )
        )  # fmt: skip

    def step(self, step: str, to: str, by: Actor = BY, owner: Owner = WORKER) -> Event:
        fact = CaseStepTakenV1(step=step, from_state="x", to_state=to, by=by, owner=owner)
        return self.event(fact)

    async def shown(self, code: str | None = None) -> dict[str, Any]:
        answer = await self.window.http.get(f"/v1/track/{code or self.code}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def test_a_case_is_shown_in_words_from_its_report_to_its_end(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened())
    first = await story.shown()
    assert first["stage"] == {"zh": "已登记", "en": "Registered", "state": "reported"}
    assert first["handler"]["role"] == {"zh": "基础网格员", "en": "Grid worker"}
    assert first["handler"]["unit"]["zh"].endswith("网格")
    assert first["town"] == {"zh": "义和镇", "en": "Yihe"}
    assert (first["due_at"], first["steps"]) == (None, [])
    due = START + timedelta(days=7)
    clock = CaseDeadlineSetV1(deadline="class", clock="calendar", armed=True, due_at=due)
    await window.hear(
        story.step("first_ask", "owned"),
        story.event(clock),
        story.step("resolve", "resolved", owner=CLERK),
        story.step("return_visit", "closed", by=Actor(staff="k", role="center_clerk"), owner=CLERK),
        story.event(CaseClosedV1(by=BY, state="closed")),
    )
    last = await story.shown()
    assert last["stage"]["state"] == "closed"
    assert last["due_at"] == due.isoformat().replace("+00:00", "Z")
    assert [(one["zh"], one["role"]["zh"]) for one in last["steps"]] == [
        ("首问登记", "基础网格员"), ("办结", "基础网格员"), ("回访", "中心值守员"),
    ]  # fmt: skip
    assert last["handler"]["role"]["en"] == "Centre clerk on duty"


async def test_nothing_personal_is_shown(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened(), story.step("first_ask", "owned"))
    text = (await window.http.get(f"/v1/track/{story.code}")).text
    for hidden in ("s-gw-01", str(story.case_id), "staff", TENANT + '"'):
        assert hidden not in text


async def test_the_code_is_found_however_it_is_written(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened())
    shown = shown_code(story.code)
    look_alikes = story.code.replace("0", "O").replace("1", "l").lower()
    for written in (story.code, shown, shown.lower(), look_alikes, f" {shown} ", shown.replace("-", " ")):  # fmt: skip  # noqa: E501
        assert (await story.shown(written))["tracking_code"] == shown


async def test_one_address_may_look_so_often_and_then_must_wait(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    limits = {"track_per_minute": 1, "track_burst": 5, "track_wrong_cost": 3}
    async with open_window(
        intake_dsn, intake_secrets, trusted_proxies="127.0.0.0/8", **limits
    ) as window:
        story = Story(window)
        await window.hear(story.opened())

        async def look(code: str, address: str) -> httpx.Response:
            headers = {"X-Forwarded-For": address}
            return await window.http.get(f"/v1/track/{code}", headers=headers)

        right = [(await look(story.code, "198.51.100.1")).status_code for _ in range(6)]
        assert right == [200] * 5 + [429]
        began = time.monotonic()
        wrong = [await look("AAAA-AAAA-AAAA", "198.51.100.2") for _ in range(3)]
        assert [told(one) for one in wrong] == [
            (404, "tracking_code_unknown"), (404, "tracking_code_unknown"), (429, "track_limited"),
        ]  # fmt: skip
        passed = time.monotonic() - began
        wait = int(wrong[-1].headers["retry-after"])
        assert 120 - passed <= wait <= 120  # two looks' worth at one in a minute
        assert (await look(story.code, "198.51.100.3")).status_code == 200


async def test_without_a_trusted_proxy_no_header_helps_to_look_more_often(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    async with open_window(intake_dsn, intake_secrets, track_burst=2) as window:
        answers = [
            await window.http.get("/v1/track/x", headers={"X-Forwarded-For": f"198.51.100.{n}"})
            for n in range(2)
        ]
        assert [told(one)[0] for one in answers] == [404, 429]


async def test_who_is_remembered_is_bounded(intake_dsn: str, intake_secrets: Secrets) -> None:
    async with open_window(
        intake_dsn, intake_secrets, trusted_proxies="127.0.0.1", track_addresses_max=3
    ) as window:
        for n in range(9):
            headers = {"X-Forwarded-For": f"198.51.100.{n}"}
            assert (await window.http.get("/v1/track/x", headers=headers)).status_code == 404
        assert window.callers.known == 3


@pytest.mark.parametrize("code", ["AAAA-AAAA-AAAA", "x", "路灯", "A" * 500, "' OR 1=1", "%00"])
async def test_an_unknown_code_says_what_to_do(window: Window, code: str) -> None:
    answer = await window.http.get(f"/v1/track/{code}")
    assert told(answer) == (404, "tracking_code_unknown")
    assert "try again" in answer.json()["detail"]


async def test_a_flow_that_keeps_its_steps_to_itself_shows_none(window: Window) -> None:
    story = Story(window, flow="unheard_of")
    await window.hear(story.opened(), story.step("first_ask", "owned"))
    shown = await story.shown()
    assert shown["steps"] == []
    assert shown["stage"] == {"zh": "owned", "en": "owned", "state": "owned"}


async def test_facts_twice_or_of_other_kinds_change_nothing(window: Window) -> None:
    story = Story(window)
    opened, step = story.opened(), story.step("first_ask", "owned")
    await window.hear(opened, opened, step)
    before = await story.shown()
    warned = CaseDeadlineWarnedV1(deadline="class", due_at=START)
    await window.hear(step, opened, story.event(warned), step)
    assert await story.shown() == before
    assert len(before["steps"]) == 1


async def test_who_has_taken_it_over_is_shown(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened())
    over = CaseHandedOverV1(from_owner=WORKER, owner=CLERK, by=BY)
    await window.hear(story.event(over))
    handler = (await story.shown())["handler"]
    assert handler["unit"]["zh"] == "义和镇"


async def test_a_clock_that_is_not_the_cases_own_is_not_its_due_time(window: Window) -> None:
    story = Story(window)
    other = CaseDeadlineSetV1(deadline="step.x", clock="calendar", armed=True, due_at=START)
    await window.hear(story.opened(), story.event(other))
    assert (await story.shown())["due_at"] is None


async def test_facts_of_a_case_that_was_never_opened_here_show_nothing(window: Window) -> None:
    story = Story(window)
    assigned = CaseAssignedV1(owner=CLERK, rule="roster")
    await window.hear(story.event(assigned), story.step("first_ask", "owned"))
    answer = await window.http.get(f"/v1/track/{story.code}")
    assert told(answer) == (404, "tracking_code_unknown")


async def test_a_step_by_the_system_is_told_in_words(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened(), story.step("first_ask", "owned", by=SYSTEM))
    (step,) = (await story.shown())["steps"]
    assert step["role"] == {"zh": "系统", "en": "System"}


async def test_a_report_taken_back_is_told_in_words(window: Window) -> None:
    story = Story(window)
    taken_back = story.step("cancel", "cancelled", by=Actor(staff="reporter", role="reporter"))
    await window.hear(story.opened(), taken_back)
    (step,) = (await story.shown())["steps"]
    assert step["role"] == {"zh": "报事人", "en": "Reporter"}


async def test_a_long_name_of_a_unit_is_still_shown(window: Window) -> None:
    body = {"level": "grid", "zh": "长" * 400, "parent": "v1"}
    window.know({"kind": "unit", "id": "g01", "body": body}, change_set="long")
    story = Story(window)
    await window.hear(story.opened())
    assert (await story.shown())["handler"]["unit"]["zh"] == "长" * 400


async def test_a_case_whose_town_is_not_here_yet_is_shown_by_its_ids(window: Window) -> None:
    story = Story(window)
    await window.hear(story.opened())
    window.registry.towns.clear()
    shown = await story.shown()
    assert (shown["stage"]["zh"], shown["handler"]["unit"]["zh"]) == ("reported", "g01")
    assert window.registry.towns == {}


async def test_without_the_database_looking_up_fails_softly_and_reporting_goes_on(
    intake_secrets: Secrets,
) -> None:
    dsn = f"postgresql://nobody:x@127.0.0.1:{unused_ports(1)[0]}/intake"
    async with open_window(dsn, intake_secrets) as window:
        answer = await window.http.get("/v1/track/AAAA-AAAA-AAAA")
        assert told(answer) == (503, "not_now")
        assert answer.headers["retry-after"] == "5"
        assert told(await window.post()) == (503, "not_confirmed")


async def test_the_openapi_document_is_whole(window: Window) -> None:
    document = (await window.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    post = document["paths"]["/v1/cases"]["post"]
    assert {"202", "400", "401", "404", "413", "422", "429", "503"} <= post["responses"].keys()
    schemas = document["components"]["schemas"]
    assert {"Report", "Accepted", "Reporter", "Place", "TrackView"} <= schemas.keys()
    report = schemas["Report"]["properties"]
    assert report["summary"]["maxLength"] == 200
    assert "class" in report
    assert schemas["Report"]["additionalProperties"] is False
    schemes = document["components"]["securitySchemes"]
    assert {name for one in post["security"] for name in one} <= schemes.keys()
    assert schemes["api_key"] == {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
    references = [part.split('"')[0] for part in str(document).replace("'", '"').split("#/components/schemas/")[1:]]  # fmt: skip  # noqa: E501
    assert set(references) <= schemas.keys()

"""Acts at intake's door: who may act for which department, and what an act must say."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.component.intake.window import RIGHT, Window, small_town, told

ACT = {
    "case_id": str(uuid4()),
    "act": "report_in",
    "whistle_id": str(uuid4()),
    "department": "police",
    "means": "remote",
}


async def post(window: Window, *, api_key: str = "police", **more: Any) -> httpx.Response:
    headers = {"X-Api-Key": api_key, "Idempotency-Key": "a1"}
    body = {name: value for name, value in {**ACT, **more}.items() if value is not None}
    return await window.http.post("/v1/acts", json=body, headers=headers)


async def test_an_act_gets_as_far_as_the_broker(window: Window) -> None:
    window.front_end("police", "police_system", departments=["police"])
    assert told(await post(window)) == RIGHT
    assert told(await post(window, tenant="yihe")) == RIGHT


async def test_a_front_end_acts_for_its_departments_alone(window: Window) -> None:
    window.front_end("police", "police_system", departments=["police"])
    assert told(await post(window, department="court")) == (403, "department_not_granted")
    assert told(await post(window, api_key="demo-key")) == (403, "department_not_granted")
    assert told(await post(window, api_key="nobody")) == (401, "api_key_unknown")


async def test_a_key_for_several_towns_names_the_town(window: Window) -> None:
    for tenant in ("yihe", "gucheng"):
        window.know(*small_town(tenant), change_set="again", tenant=tenant)
        window.front_end("police", "police_system", tenant=tenant, departments=["police"])
    assert told(await post(window)) == (422, "tenant_missing")
    assert told(await post(window, tenant="gucheng")) == RIGHT
    assert told(await post(window, tenant="elsewhere")) == (404, "tenant_unknown")


@pytest.mark.parametrize(
    "more",
    [
        {"case_id": "1"},
        {"case_id": None},
        {"act": "release"},
        {"means": "by_pigeon"},
        {"by": {"staff": "x"}},
        {"department": ""},
    ],
)
async def test_what_is_no_act_is_named(window: Window, more: dict[str, Any]) -> None:
    window.front_end("police", "police_system", departments=["police"])
    answer = await post(window, **more)
    assert told(answer) == (422, "invalid_fields")
    assert [one["field"] for one in answer.json()["errors"]] == list(more)


async def test_an_act_without_its_key_is_refused(window: Window) -> None:
    window.front_end("police", "police_system", departments=["police"])
    answer = await window.http.post("/v1/acts", json=ACT, headers={"X-Api-Key": "police"})
    assert told(answer) == (400, "idempotency_key_missing")


async def test_the_door_is_documented(window: Window) -> None:
    paths = (await window.http.get("/openapi.json")).json()["paths"]
    assert paths["/v1/acts"]["post"]["operationId"] == "post_act"

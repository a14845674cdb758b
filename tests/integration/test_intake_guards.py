"""The guards at intake's door, on the running services: emergencies, keys switched off, looks."""

import json
from typing import Any

from services.chassis.seal import KeyRing
from tests import factories
from tests.integration.trio import Trio
from tests.waiting import until

OFF = "2025-01-01T00:00:00Z"


async def test_an_emergency_is_answered_at_once_and_opens_its_case(trio: Trio) -> None:
    answer = await trio.report("calm", "fire", summary="厨房着火了", location={"grid": "g01"})
    body = answer.json()
    assert answer.status_code == 202
    (told,) = body["emergency"]
    assert (told["call"], told["because"]) == ("119", "着火")
    assert told["zh"].startswith("您说到“着火”：请马上拨打 119")
    assert (await trio.case("calm", body["case_id"]))["text"]["summary"] == "厨房着火了"
    calm = await trio.report("calm", "no-fire", summary="没有着火，路灯不亮")
    assert (calm.status_code, "emergency" in calm.json()) == (202, False)


async def test_a_point_from_a_phones_map_finds_its_grid(trio: Trio) -> None:
    grid = next(one for one in factories.town_lines() if one["id"] == "g01")
    lon, lat = (sum(xs) / len(xs) for xs in zip(*grid["body"]["polygon"][0], strict=True))
    answer = await trio.report(
        "calm", "shifted", location={"lat": lat + 0.001, "lon": lon + 0.006, "crs": "GCJ02"}
    )
    assert answer.status_code == 202
    case = await trio.case("calm", answer.json()["case_id"])
    query = "SELECT location FROM cases WHERE case_id = $1"
    (row,) = await trio.rows("routing", query, case["case_id"])
    where = json.loads(row["location"])
    assert where["crs"] == "wgs84"
    assert where["given"] == {"lat": lat + 0.001, "lon": lon + 0.006, "crs": "gcj02"}
    assert 0.003 < where["given"]["lon"] - where["lon"] < 0.009
    assert case["placed_by"] == "point" or case["fallback"] == "outside_town"


async def test_a_key_is_throttled_switched_off_and_on_by_its_record(trio: Trio) -> None:
    ring = KeyRing(trio.secrets.key_file)

    async def change(name: str, **more: Any) -> None:
        line = {**factories.demo_front_end(ring, "kiosk-key", **more), "id": "kiosk"}
        await trio.post_set("calm", name, [line])

    async def answered(expected: tuple[int, str]) -> None:
        async def so() -> bool:
            answer = await trio.report("calm", "kiosk", api_key="kiosk-key")
            return (answer.status_code, answer.json().get("code", "")) == expected

        await until(so, f"the key is answered with {expected}")

    await change("kiosk-on", quota_per_s=50, burst=100)
    await answered((202, ""))
    await change("kiosk-throttled", quota_per_s=0.001, burst=1)
    await answered((429, "quota_exceeded"))
    await change("kiosk-off", revoked_at=OFF)
    await answered((401, "api_key_revoked"))
    assert (await trio.report("calm", "others")).status_code == 202  # another key goes on
    await change("kiosk-again", quota_per_s=50, burst=101)
    await answered((202, ""))


async def test_no_header_of_a_stranger_makes_him_somebody_else(trio: Trio) -> None:
    await trio.start("intake", "intake-looks", TRACK_BURST="3", TRACK_PER_MINUTE="1")
    url = f"{trio.urls['intake-looks']}/v1/track/AAAA-AAAA-AAAA"
    answers = [
        await trio.http.get(url, headers={"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(3)
    ]
    await trio.stop("intake-looks")
    assert [one.status_code for one in answers] == [404, 429, 429]
    assert int(answers[-1].headers["retry-after"]) > 60

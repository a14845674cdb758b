"""What each service of a running stack tells to whoever scrapes it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.state import StackState
from tests.system.doors import READY_S, report
from tests.waiting import until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
GROUPS = {
    "intake": {("routing.events", "intake.track")},
    "routing": {
        ("intake.events", "routing"),
        ("notify.events", "routing.replies"),
        ("ledger.registry", "routing.registry"),
    },
    "notify": {("routing.events", "notify"), ("ledger.registry", "notify.registry")},
    "ledger": {
        ("intake.events", "ledger"),
        ("routing.events", "ledger"),
        ("notify.events", "ledger"),
    },
    "console": {("routing.events", "console")},
}


async def scraped(state: StackState, service: str) -> Samples:
    async with httpx.AsyncClient(base_url=state.url(service), timeout=10) as client:
        text = (await client.get("/metrics")).text
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


async def test_each_service_tells_how_far_it_is_and_what_it_holds(state: StackState) -> None:
    await report(state, "counted", summary="窨井盖响", location={"grid": "g01"})
    for service, groups in GROUPS.items():

        async def read(service: str = service, groups: set[tuple[str, str]] = groups) -> bool:
            samples = await scraped(state, service)
            lag = {
                (dict(labels)["topic"], dict(labels)["group"]): value
                for (name, labels), value in samples.items()
                if name == "chuishao_lag_records"
            }
            ready = "chuishao_batch_seconds_bucket" in {name for name, _ in samples}
            return ready and lag.keys() == groups and not any(lag.values())

        await until(read, f"{service} has read all", READY_S)
        samples = await scraped(state, service)
        names = {name for name, _ in samples}
        assert samples["chuishao_pool_max", frozenset()] == 8
        assert samples["chuishao_unready", frozenset({("check", "work")})] == 0
        assert 0 <= samples["chuishao_pool_in_use", frozenset()] <= 8
        assert "chuishao_batch_records_bucket" in names
        assert ("chuishao_outbox_age_seconds" in names) == (
            service in {"routing", "notify", "ledger"}
        )
    of_intake = await scraped(state, "intake")
    taken = {"method": "POST", "route": "/v1/cases", "status": "202"}
    assert of_intake["chuishao_http_seconds_count", frozenset(taken.items())] >= 1
    assert ("chuishao_slots_open", frozenset()) in await scraped(state, "routing")

"""One report is one trace, from the request to the phone."""

from collections.abc import Sequence

import httpx

from deploy.local.state import StackState
from tests.faults.ground import TENANT
from tests.system.collector import Collector, Seen, tree
from tests.system.doors import READY_S
from tests.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FRONT_END = "00f067aa0ba902b7"
# Service, span and kind (2 server, 3 client, 4 producer, 5 consumer), each below the one before.
WAY = (
    ("intake", "POST /v1/cases", 2),
    ("intake", "send intake.events", 4),
    ("routing", "process intake.events", 5),
    ("routing", "send routing.events", 4),
    ("notify", "process routing.events", 5),
    ("notify", "send sms", 3),
    ("sandbox", "POST /", 2),
)


def chain(spans: Sequence[Seen]) -> list[Seen]:
    """Follow the way as far as it goes: at each step whatever goes on from the step before."""
    ways: list[list[Seen]] = [[]]
    for service, name, kind in WAY:
        wanted = (f"chuishao-{service}", name, kind)
        ways = [
            [*way, one]
            for way in ways
            for one in spans
            if (one.service, one.name, one.kind) == wanted
            and one.parent_id == (way[-1].span_id if way else FRONT_END)
        ]
    return next(iter(ways), [])


async def test_a_report_is_one_trace_from_the_request_to_the_phone(
    state: StackState, collector: Collector
) -> None:
    async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
        answer = await client.post(
            "/v1/cases",
            json={
                "tenant": TENANT,
                "summary": "桥栏杆松了",
                "category": "environment",
                "location": {"grid": "g05"},
            },
            headers={
                "X-Api-Key": state.api_key,
                "Idempotency-Key": "traced",
                "traceparent": f"00-{TRACE}-{FRONT_END}-01",
            },
        )
    assert answer.status_code == 202, answer.text

    def mine() -> list[Seen]:
        return [one for one in collector.spans if one.trace_id == TRACE]

    async def whole() -> bool:
        return bool(chain(mine()))

    await until(whole, "the trace is whole", READY_S)

    async def kept() -> bool:
        sent = {one.span_id for one in mine() if one.name == "send notify.events"}
        kept_by = [one for one in mine() if one.service == "chuishao-ledger"]
        return any(one.parent_id in sent for one in kept_by)

    await until(kept, "the ledger has what became of the message", READY_S)
    print("\n" + tree(mine()))  # noqa: T201 - to be looked at
    request, sent, opened, told, planned, _, gateway = chain(mine())
    assert request.about["http.route"] == "/v1/cases"
    assert request.about["http.response.status_code"] == 202
    assert sent.about["messaging.destination.name"] == "intake.events"
    assert opened.links == (sent.span_id,)
    assert opened.about["cloudevents.event_subject"] == answer.json()["case_id"]
    assert told.about["cloudevents.event_type"] == "case.assigned.v1"
    assert gateway.about["http.response.status_code"] == 200
    for one in (opened, planned):
        (transaction,) = [
            span for span in mine() if (span.parent_id, span.name) == (one.span_id, "transaction")
        ]
        assert transaction.about["db.system.name"] == "postgresql"
    assert not [one for one in mine() if one.failed]
    assert "桥栏杆" not in repr(mine())
    assert state.api_key not in repr(mine())

"""The counting itself: what is wrong must be found, or all the faults prove nothing."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from contracts.events import case_id
from contracts.facts import CaseAssignedV1
from deploy.local.load import Log, Sent
from deploy.local.secrets import DEMO_FRONT_END
from deploy.local.state import StackState
from deploy.sandbox.truth import Message
from tests.conftest import Database
from tests.faults.check import Fact, Verdict, phones, projections, told
from tests.faults.freeze import by_a_refused_try
from tests.faults.ground import TENANT

INTENT = """
INSERT INTO intent (
    tenant_id, intent_id, case_id, event_id, traceparent, notice, rule, recipient, channels,
    tries_max, wait_s, words, timezone, state, channel, next_at
)
VALUES ('t', $1, $1, $1, '', 'n', 'r', 's', '{sms}', 1, 0, '{}', 'UTC', 'accepted', 'sms', now())
"""
ATTEMPT = """
INSERT INTO attempt (tenant_id, intent_id, number, attempt_id, channel, state)
VALUES ('t', $1, $2, $3, 'sms', $4)
"""
BOARD = """
INSERT INTO board_case
VALUES ('t', $1, 'n', 1, 'f', 'c', 'c', 's', 'g', 'v', 'open', 'u', 'r', now(), now(), 1, false,
    NULL, '{}')
"""


def key(n: int) -> str:
    return str(case_id(TENANT, DEMO_FRONT_END, f"k{n}"))


def test_a_report_counts_as_late_if_more_of_it_arrived_than_was_confirmed() -> None:
    refused = [(503, 4.0)]
    log = Log(
        [
            Sent("k0", UUID(key(0)), refused=refused),
            Sent("k1", UUID(key(1)), refused=refused),
            Sent("k2", UUID(key(2))),
            Sent("k3", None, refused=refused),
            Sent("k4", None, refused=refused),
            Sent("k5", UUID(key(5)), refused=[(0, 6.0)]),
        ]
    )
    records = {key(0): 2, key(1): 1, key(2): 2, key(3): 1, key(5): 2}
    assert [one.key for one in by_a_refused_try(log, records)] == ["k0", "k3"]


async def test_a_board_that_differs_from_routing_is_found(database: Database) -> None:
    conns = {
        name: await asyncpg.connect(await database(name))
        for name in ("routing", "intake", "ledger", "console")
    }
    calm, verdict = Verdict(), Verdict()
    await projections(calm, conns)
    await conns["console"].execute(BOARD, uuid4())
    await projections(verdict, conns)
    for conn in conns.values():
        await conn.close()
    assert not calm.wrong
    assert verdict.wrong == ["console.board_case differs from routing"]


async def test_an_assignment_that_nobody_is_told_of_is_found(database: Database) -> None:
    conn = await asyncpg.connect(await database("notify"))
    heard, unheard = uuid4(), uuid4()
    await conn.execute(INTENT, heard)
    facts = [
        Fact("routing.events", str(event), CaseAssignedV1.TYPE, "c", 1, b"")
        for event in (heard, heard, unheard)
    ]
    calm, verdict = Verdict(), Verdict()
    await told(calm, facts[:2], conn)
    await told(verdict, facts, conn)
    await conn.close()
    assert not calm.wrong
    assert verdict.wrong == ["1 assignments were told to nobody"]


def shown(out_id: object, phone: str = "16012345678", *, reached: bool = True) -> str:
    now = datetime.now(UTC)
    message = Message(
        message_id=str(uuid4()),
        biz_id="b",
        out_id=str(out_id),
        phone=phone,
        sign_name="吹哨",
        template_code="SMS_1",
        text="…",
        segments=1,
        accepted_at=now,
        reached_at=now if reached else None,
    )
    return message.model_dump_json()


async def test_a_second_message_is_wrong_unless_the_first_was_in_doubt(
    database: Database, tmp_path: Path
) -> None:
    conn = await asyncpg.connect(await database("notify"))
    tries: dict[tuple[str, int], UUID] = {}
    for name, first in (("known", "delivered"), ("doubted", "lost"), ("unheard", "undelivered")):
        intent = uuid4()
        await conn.execute(INTENT, intent)
        for number, state in enumerate((first, "delivered"), start=1):
            tries[name, number] = uuid4()
            await conn.execute(ATTEMPT, intent, number, tries[name, number], state)
    lines = [
        shown(tries["known", 1]),
        shown(tries["known", 2], phone="16087654321"),
        shown(tries["doubted", 1]),
        shown(tries["doubted", 2]),
        shown(tries["unheard", 1], reached=False),
        shown(tries["unheard", 2]),
    ]
    truth = tmp_path / "sandbox" / "truth.ndjson"
    truth.parent.mkdir()
    truth.write_text("\n".join(lines))
    stack = StackState(tmp_path, {})
    calm, verdict = Verdict(), Verdict()
    await phones(calm, stack, conn)
    truth.write_text("\n".join([*lines, shown(tries["known", 2]), shown("nobody's")]))
    await phones(verdict, stack, conn)
    await conn.close()
    assert not calm.wrong
    assert calm.counts["of them a second after one in doubt"] == 1
    assert verdict.wrong == [
        "1 messages on phones are of no attempt",
        "1 messages came twice without need",
    ]

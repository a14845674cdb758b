"""What is written down survives: a restart, a torn line, a kill."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.sandbox.messages import Messages
from deploy.sandbox.truth import Cleared, Message, Receipt, TruthFile
from tests.component.sandbox.caller import LI, WANG, Callback
from tests.component.sandbox.conftest import Start

AT = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
RECEIPT = Receipt(success=True, err_code="DELIVERED", err_msg="用户接收成功", reported_at=AT)


def a_message(number: int, phone: str = WANG) -> Message:
    return Message(
        message_id=str(number),
        biz_id=f"{number}^0",
        out_id=f"out-{number}",
        phone=phone,
        sign_name="吹哨",
        template_code="SMS_1",
        text="【吹哨】𠮷\n第二行",
        segments=1,
        accepted_at=AT,
        reached_at=AT,
    )


def ids(messages: Messages, phone: str | None = None) -> list[str]:
    return [message.message_id for message in messages.find(phone, None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "truth.ndjson"


def test_everything_written_is_read_again(path: Path) -> None:
    messages = Messages(10, TruthFile(path))
    messages.record(a_message(1))
    messages.record(a_message(2, LI))
    messages.report("1", RECEIPT)
    messages.take("1", AT)
    again = Messages(10, TruthFile(path))
    assert list(again.every()) == list(messages.every())
    [first] = again.find(WANG, None)
    assert (first.text, first.receipt, first.receipt_taken_at) == (
        "【吹哨】𠮷\n第二行",
        RECEIPT,
        AT,
    )


def test_what_was_cleared_stays_in_the_file_and_out_of_sight(path: Path) -> None:
    messages = Messages(10, TruthFile(path))
    messages.record(a_message(1))
    messages.record(Cleared(at=AT))
    messages.record(a_message(2))
    assert ids(Messages(10, TruthFile(path))) == ["2"]
    assert path.read_text("utf-8").count('"kind":"message"') == 2


def test_a_torn_last_line_was_never_answered_for(path: Path) -> None:
    Messages(10, TruthFile(path)).record(a_message(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    messages = Messages(10, TruthFile(path))
    assert ids(messages) == ["1"]
    messages.record(a_message(2))
    assert ids(Messages(10, TruthFile(path))) == ["1", "2"]


def test_a_line_that_is_none_of_ours_stops_the_start(path: Path) -> None:
    Messages(10, TruthFile(path)).record(a_message(1))
    path.write_bytes(path.read_bytes() + b'{"kind":"other"}\n')
    with pytest.raises(ValueError, match="line 2"):
        Messages(10, TruthFile(path))


def test_memory_has_a_bound_and_the_oldest_go(path: Path) -> None:
    messages = Messages(2, TruthFile(path))
    for number, phone in ((1, WANG), (2, LI), (3, LI)):
        messages.record(a_message(number, phone))
    assert ids(messages) == ["2", "3"]
    assert messages.phones() == [LI]
    assert messages.report("1", RECEIPT) is None
    assert ids(Messages(2, TruthFile(path))) == ["2", "3"]


def test_phones_stand_in_the_order_of_their_newest_message() -> None:
    messages = Messages(10)
    for number, phone in ((1, WANG), (2, LI), (3, WANG)):
        messages.record(a_message(number, phone))
    before = messages.changes
    messages.report("2", RECEIPT)
    assert messages.phones() == [WANG, LI]
    assert messages.changed_since(before) == [LI]
    assert messages.changed_since(0) == [WANG, LI]
    assert [message.message_id for message in messages.newest(WANG, 1)] == ["3"]


def test_a_confirmed_receipt_changes_nothing_on_a_phone() -> None:
    messages = Messages(10)
    messages.record(a_message(1))
    messages.report("1", RECEIPT)
    before = messages.changes
    messages.take("1", AT)
    assert messages.changed_since(before) == []


async def test_after_a_restart_messages_limits_and_unconfirmed_receipts_are_there(
    start: Start, callback: Callback, path: Path
) -> None:
    dead = {"callback_url": "http://127.0.0.1:9/receipts", "delay_s": 0}
    limits = {"per_day_max": 1}
    async with start(truth_file=path, limits=limits, receipts=dead) as caller:
        await caller.fault(kind="receipt_failed", next=1, phone=LI)
        for phone in (WANG, LI):
            await caller.send(PhoneNumbers=phone, OutId=phone)
        await caller.until_reported(2)
    alive = {"callback_url": callback.url, "delay_s": 0}
    async with start(truth_file=path, limits=limits, receipts=alive) as caller:
        receipts = await callback.until(2)
        assert {(one["out_id"], one["success"]) for one in receipts} == {(WANG, True), (LI, False)}
        await caller.until_confirmed(2)
        assert [message["phone"] for message in await caller.reached()] == [WANG]
        assert (await caller.send()).json()["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
    kept = Messages(10, TruthFile(path))
    assert [message.receipt_taken_at is not None for message in kept.every()] == [True, True]

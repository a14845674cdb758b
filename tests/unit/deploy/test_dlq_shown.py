"""What `chuishao dlq` prints can be used as it stands, however narrow the screen."""

from datetime import UTC, datetime

import pytest

from deploy.cli.dlq_shown import show_subjects
from deploy.local.set_aside import Place, Subject

AT = datetime(2025, 3, 3, 9, tzinfo=UTC)


def held(place: Place, behind: int) -> Subject:
    reason = "missing header: ce_id, ce_type, ce_source, ce_subject, ce_time, ce_tenant"
    return Subject(
        place=place,
        key=b"yihe|1",
        type="case.followed_up.v1",
        state="rejected",
        reason=reason,
        at=AT,
        age_s=19.0,
        behind=behind,
        corrected=False,
        released=False,
    )


def test_a_place_is_printed_whole_on_a_narrow_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    places = [Place("routing", "intake.events", 18, 12), Place("ledger", "intake.events", 2, 14)]
    show_subjects([held(places[0], 4), held(places[1], 0)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "被拒" in line] == [str(one) for one in places]
    assert "4 behind" in lines[0]
    assert "headers are missing: ce_id" in lines[1]

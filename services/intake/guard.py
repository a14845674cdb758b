"""The emergency guard: what a report tells of that nobody should wait for, and what is answered."""

import json
from pathlib import Path
from typing import Any

from contracts.profile import Profile
from services.intake.domain.emergency import Advice, Emergency, advise, may_tell
from services.intake.report import EmergencyView, Report

# Where a town's profile says nothing else; 国办发〔2020〕53号 keeps these numbers apart from 12345.
USUAL = tuple(
    Emergency(**{**one, "words": tuple(one["words"])})
    for one in json.loads((Path(__file__).parent / "emergencies.json").read_bytes())
)

_GLANCED_FOR = tuple(word.encode() for one in USUAL for word in one.words)


def emergencies_of(profile: Profile | None) -> tuple[Emergency, ...]:
    """Return the town's own list, or the usual one."""
    if profile is None or profile.cases.emergencies is None:
        return USUAL
    return tuple(
        Emergency(one.call, one.zh, one.en, one.words) for one in profile.cases.emergencies
    )


def guard(report: Report, profile: Profile | None) -> list[dict[str, Any]]:
    """Return whom the reporter must call, in the words that go back to him; mostly nobody."""
    said = [text for text in (report.summary, report.description) if text]
    return [_view(one) for one in advise(said, emergencies_of(profile))]


def worth_reading(body: bytes) -> bool:
    """Tell whether a body may be an emergency's, by the usual words alone."""
    return may_tell(body, _GLANCED_FOR)


def _view(advice: Advice) -> dict[str, Any]:
    one = advice.emergency
    zh = (
        f"您说到“{advice.because}”：请马上拨打 {one.call}（{one.zh}）。"
        "上报已经受理，但不能代替报警求助。"
    )
    en = f"You speak of “{advice.because}”: call {one.call} ({one.en}) at once. "
    en += "Your report is taken in, but it does not call for help."
    return EmergencyView(call=one.call, because=advice.because, zh=zh, en=en).model_dump()

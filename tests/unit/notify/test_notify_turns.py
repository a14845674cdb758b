from collections.abc import Mapping

import pytest

from services.notify.domain.turns import (
    Action,
    Attempt,
    AttemptState,
    Drop,
    GiveUp,
    LookUp,
    Plan,
    Send,
    Situation,
    Wait,
    next_turn,
)

PLAN = Plan(("app", "wechat", "sms"), tries_max=2, wait_s=60)
SMS = Plan(("sms",), tries_max=2, wait_s=60)
BOTH = Plan(("sms", "wechat"), tries_max=2, wait_s=60)
NEEDS = {"sms": "phone", "wechat": "openid"}
PHONE = frozenset({"phone"})
EVERY = frozenset({"phone", "openid"})


def tried(*states: AttemptState, channel: str = "sms", code: str | None = None) -> list[Attempt]:
    return [Attempt(n, channel, state, code) for n, state in enumerate(states, 1)]


def now(
    needs: Mapping[str, str] = NEEDS,
    contacts: frozenset[str] = PHONE,
    *,
    paused: frozenset[str] = frozenset(),
    wanted: bool = True,
    expired: bool = False,
) -> Situation:
    return Situation(needs, contacts, paused, wanted, expired)


SENDING = tried("sending")
UNKNOWN = tried("lost", "unknown")
REFUSED = tried("refused", code="isv.MOBILE_NUMBER_ILLEGAL")


@pytest.mark.parametrize(
    ("plan", "attempts", "situation", "skipped", "action"),
    [
        pytest.param(SMS, [], now(), [], Send("sms"), id="first"),
        pytest.param(
            PLAN,
            [],
            now(),
            [("app", "no_adapter"), ("wechat", "no_contact")],
            Send("sms"),
            id="skipped-to-the-last",
        ),
        pytest.param(
            PLAN, [], now({}), ["no_adapter"] * 3, GiveUp("no_adapter"), id="no-adapter-at-all"
        ),
        pytest.param(
            PLAN,
            [],
            now(contacts=frozenset()),
            ["no_adapter", "no_contact", "no_contact"],
            GiveUp("no_contact"),
            id="no-contact-at-all",
        ),
        pytest.param(
            Plan(("app",), 1, 0),
            [],
            now(contacts=frozenset()),
            ["no_adapter"],
            GiveUp("no_contact"),
            id="no-contact-is-the-better-reason",
        ),
        pytest.param(SMS, tried("retry"), now(), [], Send("sms"), id="again"),
        pytest.param(
            SMS,
            tried("retry", "retry", code="busy"),
            now(),
            [],
            GiveUp("busy"),
            id="tried-often-enough",
        ),
        pytest.param(SMS, tried("retry", "paused"), now(), [], Send("sms"), id="paused-is-no-try"),
        pytest.param(
            SMS, tried("lost", "undelivered"), now(), [], GiveUp("undelivered"), id="both-are-tries"
        ),
        pytest.param(
            SMS, REFUSED, now(), [], GiveUp("isv.MOBILE_NUMBER_ILLEGAL"), id="refused-for-good"
        ),
        pytest.param(BOTH, REFUSED, now(contacts=EVERY), [], Send("wechat"), id="next-channel"),
        pytest.param(
            BOTH,
            tried("unresolved", code="no_answer"),
            now(contacts=EVERY),
            [],
            Send("wechat"),
            id="unresolved-is-never-sent-again",
        ),
        pytest.param(SMS, SENDING, now(), [], LookUp(SENDING[0]), id="died-while-sending"),
        pytest.param(SMS, UNKNOWN, now(), [], LookUp(UNKNOWN[1]), id="unknown"),
        pytest.param(
            SMS,
            SENDING,
            now(wanted=False, expired=True),
            [],
            LookUp(SENDING[0]),
            id="looked-up-even-when-unwanted",
        ),
        pytest.param(SMS, [], now(wanted=False), [], Drop(), id="closed-meanwhile"),
        pytest.param(SMS, tried("retry"), now(expired=True), [], GiveUp("expired"), id="too-late"),
        pytest.param(SMS, [], now(paused=frozenset({"sms"})), [], Wait("sms"), id="paused-for-all"),
        pytest.param(
            SMS,
            SENDING,
            now(paused=frozenset({"sms"})),
            [],
            Wait("sms"),
            id="no-look-up-while-paused",
        ),
        pytest.param(
            PLAN,
            [],
            now(paused=frozenset({"sms"})),
            ["no_adapter", "no_contact"],
            Wait("sms"),
            id="skipped-then-paused",
        ),
    ],
)
def test_whose_turn_it_is(
    plan: Plan,
    attempts: list[Attempt],
    situation: Situation,
    skipped: list[str] | list[tuple[str, str]],
    action: Action,
) -> None:
    found, done = next_turn(plan, attempts, situation)
    codes = [one if isinstance(one, str) else one[1] for one in skipped]
    assert done == action
    assert [one.code for one in found] == codes
    assert [one.number for one in found] == [len(attempts) + n for n in range(1, len(found) + 1)], (
        "numbers go on without a gap"
    )
    assert {one.state for one in found} <= {"skipped"}

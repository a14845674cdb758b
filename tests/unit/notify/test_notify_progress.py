import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.progress import (
    Accepted,
    Delivered,
    FactName,
    Learned,
    Limits,
    MessageState,
    Missing,
    Moment,
    News,
    Permanent,
    Progress,
    RateLimited,
    RetryLater,
    Undelivered,
    Unknown,
    learn,
)
from services.notify.domain.turns import Attempt, AttemptState, Drop, GiveUp, Plan

LIMITS = Limits(
    retry_wait_s_max=600,
    park_s_max=7_200,
    lookup_wait_s=5,
    lost_after_s=60,
    unresolved_after_s=3_600,
)
PLAN = Plan(("sms", "wechat"), tries_max=3, wait_s=60)


def message(*states: AttemptState, state: MessageState = "open", channel: str = "sms") -> Progress:
    return Progress(state, PLAN, tuple(Attempt(n, channel, s) for n, s in enumerate(states, 1)))


def told(
    known: Progress, news: News, *, age_s: float = 0, chance: float = 0.5, number: int | None = None
) -> Learned:
    number = len(known.attempts) if number is None else number
    return learn(known, number, news, Moment(LIMITS, age_s, chance))


PRESSED = Delivered(by_key=True)
TOO_MUCH = RateLimited("flow", "recipient", 3_600)
TOO_MUCH_TODAY = RateLimited("flow", "recipient", 86_400)
THROTTLED = RateLimited("Throttling.User", "account", 2)


@pytest.mark.parametrize(
    ("known", "news", "age_s", "state", "attempt", "wait_s", "facts"),
    [
        (message("sending"), Accepted("b"), 1, "accepted", "accepted", None, ["accepted"]),
        (message("unknown"), Accepted(None), 9, "accepted", "accepted", None, ["accepted"]),
        (message("sending"), RetryLater("x"), 1, "open", "retry", 30, []),
        (message("retry", "sending"), RetryLater("x"), 1, "open", "retry", 60, []),
        (message("retry", "retry", "sending"), RetryLater("x"), 1, "open", "retry", 0, []),
        (message("sending"), TOO_MUCH, 1, "open", "retry", 3_630, []),
        (message("sending"), TOO_MUCH_TODAY, 1, "open", "refused", 0, []),
        (message("sending"), THROTTLED, 1, "open", "paused", 0, []),
        (message("sending"), Permanent("x"), 1, "open", "refused", 0, []),
        (message("sending"), Unknown("x"), 0.1, "open", "unknown", 5, []),
        (message("unknown"), Missing(), 20, "open", "unknown", 20, []),
        (message("unknown"), Missing(), 59, "open", "unknown", 59, []),
        (message("unknown"), Missing(), 60, "open", "lost", 0, []),
        (message("unknown"), Unknown("x"), 500, "open", "unknown", 60, []),
        (message("unknown"), Unknown("x"), 3_600, "open", "unresolved", 0, []),
        (message("accepted", state="accepted"), Delivered(), 1, "delivered", "delivered", None,
         ["delivered"]),
        (message("sending"), Delivered(), 1, "delivered", "delivered", None,
         ["accepted", "delivered"]),
        (message("sending"), Undelivered("x"), 1, "open", "undelivered", 30, []),
        (message("accepted", state="accepted"), Undelivered("x"), 1, "open", "undelivered", 30, []),
        (message("accepted", state="void"), Undelivered("x"), 1, "void", "undelivered", None, []),
        (message("sending", state="void"), Accepted("b"), 1, "accepted", "accepted", None,
         ["accepted"]),
        (message("sending", state="void"), Permanent("x"), 1, "void", "refused", 0, []),
        (message("lost", state="failed"), Accepted("b"), 1, "accepted", "accepted", None,
         ["accepted"]),
        (message("unresolved", state="failed"), Delivered(), 1, "delivered", "delivered", None,
         ["accepted", "delivered"]),
        (message("accepted", state="accepted"), PRESSED, 1, "delivered", "delivered", None,
         ["delivered", "acknowledged"]),
        (message("lost", state="delivered"), PRESSED, 1, "delivered", "delivered", None,
         ["acknowledged"]),
    ],
)  # fmt: skip
def test_what_a_message_learns(
    known: Progress,
    news: News,
    age_s: float,
    state: str,
    attempt: str,
    wait_s: float | None,
    facts: list[str],
) -> None:
    learned = told(known, news, age_s=age_s)
    assert (learned.progress.state, learned.progress.attempts[-1].state) == (state, attempt)
    assert (learned.wait_s, list(learned.facts)) == (wait_s, facts)


@pytest.mark.parametrize(
    ("known", "news"),
    [
        (message("accepted", state="accepted"), Accepted("b")),
        (message("delivered", state="delivered"), Accepted("b")),
        (message("delivered", state="delivered"), Delivered()),
        (message("delivered", state="delivered"), PRESSED),
        (message("delivered", state="delivered"), Undelivered("x")),
        (message("undelivered"), Undelivered("x")),
        (message("undelivered"), Accepted("b")),
        (message("undelivered"), Unknown("x")),
        (message("delivered", state="delivered"), Unknown("x")),
        (message("accepted", state="accepted"), Missing()),
        (message("delivered", state="delivered"), GiveUp("x")),
        (message("accepted", state="accepted"), Drop()),
    ],
)
def test_what_is_known_already_changes_nothing(known: Progress, news: News) -> None:
    assert told(known, news) == Learned(known)


def test_a_message_that_ends_without_a_call() -> None:
    failed, dropped = told(message("refused"), GiveUp("x"), number=0), told(message(), Drop())
    assert (failed.progress.state, failed.facts, failed.code) == ("failed", ("failed",), "x")
    assert (dropped.progress.state, dropped.facts, dropped.code) == ("void", (), None)


def test_only_the_account_pauses_the_channel() -> None:
    assert told(message("sending"), THROTTLED).pause_s == 2
    assert told(message("sending"), TOO_MUCH).pause_s == 0


def test_the_channel_moves_on_once_one_is_used_up() -> None:
    assert told(message("sending"), Permanent("x")).progress.channel == "wechat"
    assert told(message("sending"), RetryLater("x")).progress.channel == "sms"
    assert told(message("sending"), Unknown("x")).progress.channel == "sms"
    assert told(message("refused", channel="wechat"), Permanent("x")).progress.channel == "sms"


def test_an_undelivered_one_stays_done_if_another_attempt_arrived() -> None:
    both = message("accepted", "accepted", state="accepted")
    learned = told(both, Undelivered("x"), number=1)
    assert (learned.progress.state, learned.wait_s) == ("accepted", None)


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_retries_are_spread_and_bounded(chance: float) -> None:
    plan = Plan(("sms",), tries_max=20, wait_s=60)
    waits = []
    known = Progress("open", plan, ())
    for n in range(1, 20):
        sending = (*known.attempts, Attempt(n, "sms", "sending"))
        learned = told(Progress("open", plan, sending), RetryLater("x"), chance=chance)
        known, wait_s = learned.progress, learned.wait_s
        waits.append(wait_s)
    ceilings = [min(60 * 2**n, 600) for n in range(19)]
    assert waits == [ceiling * chance for ceiling in ceilings]


NEWS: list[News] = [
    Accepted("b"),
    RetryLater("x"),
    TOO_MUCH,
    THROTTLED,
    Permanent("x"),
    Unknown("x"),
    Missing(),
    Delivered(),
    PRESSED,
    Undelivered("x"),
    GiveUp("x"),
    Drop(),
]


@given(st.lists(st.sampled_from(NEWS), max_size=8), st.floats(0, 10_000))
def test_facts_follow_from_changes_whatever_comes_in_whatever_order(
    every: list[News], age_s: float
) -> None:
    known = message("sending")
    facts: list[FactName] = []
    for news in every:
        learned = told(known, news, age_s=age_s, number=1)
        changed = learned.progress.state != known.state
        assert not learned.facts or changed
        facts += learned.facts
        known = learned.progress
    if "acknowledged" in facts:
        assert facts.index("acknowledged") == len(facts) - 1, "nothing follows the key"
        assert PRESSED in every
        facts.pop()
    assert "delivered" not in facts[:-1], "nothing follows an arrival"
    assert ("delivered" in facts) == (known.state == "delivered")
    contradicted = Undelivered("x") in every
    for first, second in itertools.pairwise(facts):
        assert first != second or contradicted, "nothing is announced twice in a row"
        assert (first, second) != ("accepted", "failed") or contradicted

import pytest

from services.notify.domain.recipients import (
    Case,
    Named,
    Owner,
    Part,
    Telling,
    is_staff,
    place_of,
    recipient,
    tellings,
)
from services.notify.domain.town import Rule, Rules, Town, Unit

TOWN = Town(
    units={
        unit.id: unit
        for unit in (
            Unit("town", "town", "义和镇"),
            Unit("v1", "village", "槐荫新村", "town"),
            Unit("v2", "village", "蒲扇新村", "town"),
            Unit("g01", "grid", "酒旗庄网格", "v1"),
            Unit("g02", "grid", "听蛙店网格", "v2"),
        )
    },
    posts={
        ("g01", "grid_worker"): ("s-gw-01", "s-gw-02"),
        ("g01", "grid_leader"): ("s-gw-01",),
        ("v1", "village_cadre"): ("s-vc-01",),
        ("v2", "village_cadre"): ("s-vc-02",),
        ("town", "center_clerk"): ("s-cc-01",),
        ("town", "officer"): ("s-do-01", "s-do-02", "s-do-03"),
        ("town", "mayor"): ("s-tl-01", "s-tl-02"),
        ("v1", "overseer"): ("s-ov-01",),
    },
    town_level="town",
    departments={
        "police": {"officer": ("s-do-03", "s-do-01"), "head": ("s-dh-01",)},
        "justice": {"officer": ("s-do-02",), "captain": ("s-ca-01",)},
        "court": {"head": ("s-dh-03",)},
    },
)
LEVELS = {
    "grid_worker": "grid",
    "grid_leader": "grid",
    "village_cadre": "village",
    "center_clerk": "town",
    "county_chief": "county",
    "officer": "town",
    "head": "town",
    "captain": "town",
    "deputy_mayor": "town",
    "mayor": "town",
    "overseer": "village",
}


def rules(*told: Rule, last: str | None = None) -> Rules:
    return Rules(
        version=1,
        timezone="Asia/Shanghai",
        town_name="义和镇",
        told=told,
        tries_max=3,
        wait_s=60,
        last_channel=last,
        categories={"lamp": "路灯"},
        role_levels=LEVELS,
        levels={"grid": "grid", "village": "village", "town": "town"},
        reporters=frozenset({"officer", "head", "captain"}),
        heads=("head", "captain"),
        supervisors=("deputy_mayor", "mayor", "overseer"),
    )


def case(
    grid: str | None = "g01",
    village: str | None = "v1",
    owner: Owner = Owner("g01", "grid_worker", "s-gw-01"),  # noqa: B008 - frozen
) -> Case:
    return Case("250303-0001", "lamp", "ordinary", "general", grid, village, owner, 1)


NOBODYS = Owner("g02", "grid_worker")
ROLES = Owner("g01", "grid_worker")


@pytest.mark.parametrize(
    ("to", "given", "expected"),
    [
        pytest.param("reporter", case(), "reporter", id="reporter"),
        pytest.param("handler", case(), "s-gw-01", id="owner-is-a-person"),
        pytest.param("handler", case(owner=ROLES), "s-gw-01", id="owner-is-a-role"),
        pytest.param("handler", case(owner=NOBODYS), "role:grid_worker", id="owner-is-nobody"),
        pytest.param("grid_worker", case(), "s-gw-01", id="first-on-the-roster-alone"),
        pytest.param("village_cadre", case(), "s-vc-01", id="village-above-the-grid"),
        pytest.param("village_cadre", case("g02", "v2"), "s-vc-02", id="the-case's-own-village"),
        pytest.param("village_cadre", case(None, "v2"), "s-vc-02", id="village-only"),
        pytest.param("center_clerk", case(), "s-cc-01", id="town-above-the-village"),
        pytest.param("center_clerk", case(None, None), "s-cc-01", id="no-place-is-the-town"),
        pytest.param("grid_worker", case(None, "v1"), "role:grid_worker", id="no-grid-known"),
        pytest.param("grid_leader", case("g02", "v2"), "role:grid_leader", id="empty-roster"),
        pytest.param("county_chief", case(), "role:county_chief", id="outside-the-town"),
        pytest.param("unheard_of", case(), "role:unheard_of", id="unknown-role"),
    ],
)
def test_a_rule_names_one_person(to: str, given: Case, expected: str) -> None:
    assert recipient(to, given, rules(), TOWN) == expected


def test_only_staff_are_looked_up_among_staff() -> None:
    assert [is_staff(one) for one in ("s-gw-01", "reporter", "role:grid_leader")] == [
        True,
        False,
        False,
    ]


MISSED = Rule("deadline_missed", "deadline_missed", ("handler", "grid_leader"), ("sms",))
ALSO_MISSED = Rule("also", "deadline_missed", ("village_cadre", "handler"), ("app", "sms"))
SETTLED = Rule("case_resolved", "case_resolved", ("reporter",), ("wechat",))


@pytest.mark.parametrize(
    ("notice", "given", "expected"),
    [
        pytest.param("case_accepted", rules(MISSED, SETTLED), (), id="no-rule"),
        pytest.param(
            "case_resolved",
            rules(MISSED, SETTLED),
            (Telling("case_resolved", "reporter", ("wechat",)),),
            id="the-rule-for-it",
        ),
        pytest.param(
            "case_resolved",
            rules(SETTLED, last="sms"),
            (Telling("case_resolved", "reporter", ("wechat", "sms")),),
            id="the-last-resort-behind",
        ),
        pytest.param(
            "deadline_missed",
            rules(MISSED, last="sms"),
            (Telling("deadline_missed", "s-gw-01", ("sms",)),),
            id="two-roles-one-person-one-message",
        ),
        pytest.param(
            "deadline_missed",
            rules(MISSED, ALSO_MISSED),
            (
                Telling("deadline_missed", "s-gw-01", ("sms",)),
                Telling("also", "s-vc-01", ("app", "sms")),
            ),
            id="two-rules-the-first-holds",
        ),
    ],
)
def test_who_is_told_by_which_channels(
    notice: str, given: Rules, expected: tuple[Telling, ...]
) -> None:
    assert tellings(notice, case(), given, TOWN) == expected


@pytest.mark.parametrize(
    ("to", "part", "expected"),
    [
        pytest.param("officer", Part("police"), "s-do-03", id="first-of-the-department"),
        pytest.param("officer", Part("justice"), "s-do-02", id="of-another-department"),
        pytest.param("officer", Part("court"), "role:officer/court", id="no-officer-there"),
        pytest.param("officer", Part("land"), "role:officer/land", id="nobody-there"),
        pytest.param("officer", None, "s-do-01", id="no-department-is-meant"),
        pytest.param("village_cadre", Part("police"), "s-vc-01", id="no-role-of-departments"),
        pytest.param("handler", Part("police"), "s-gw-01", id="the-owner"),
        pytest.param("superior", Part("police"), "s-dh-01", id="the-head"),
        pytest.param("superior", Part("justice"), "s-ca-01", id="whoever-may-what-a-head-may"),
        pytest.param("superior", Part("land"), "role:superior/land", id="no-head"),
        pytest.param("superior", Part("court", "town"), "s-tl-01", id="first-who-is-rostered"),
        pytest.param("superior", Part("court", "village"), "s-ov-01", id="of-the-case's-village"),
        pytest.param("superior", Part("court", "county"), "role:superior/county", id="outside"),
        pytest.param("superior", None, "role:superior", id="no-whistle"),
    ],
)
def test_a_rule_of_a_whistle_names_one_person_of_the_department(
    to: str, part: Part | None, expected: str
) -> None:
    assert recipient(to, case(), rules(), TOWN, part) == expected


BLOWN = Rule("whistle_blown", "whistle_blown", ("officer", "center_clerk"), ("sms",))


def test_each_department_is_told_of_its_own_part_and_others_of_the_whole() -> None:
    parts = tuple(Part(one) for one in ("police", "justice", "court"))
    assert tellings("whistle_blown", case(), rules(BLOWN), TOWN, parts) == (
        Telling("whistle_blown", "s-do-03", ("sms",), "police", reports=True),
        Telling("whistle_blown", "s-cc-01", ("sms",)),
        Telling("whistle_blown", "s-do-02", ("sms",), "justice", reports=True),
        Telling("whistle_blown", "role:officer/court", ("sms",), "court", reports=True),
    )


def test_what_is_told_of_one_department_hangs_from_it_whoever_is_told() -> None:
    assert tellings("whistle_blown", case(), rules(BLOWN), TOWN, (Part("justice"),)) == (
        Telling("whistle_blown", "s-do-02", ("sms",), "justice", reports=True),
        Telling("whistle_blown", "s-cc-01", ("sms",), "justice"),
    )


CALLED = (Owner("g02", "grid_worker"), Owner("v1", "village_cadre", "s-vc-01"))
NIGHT = Rule("urgent_after_hours", "urgent_after_hours", ("grid_leader",), ("voice", "sms"))


def test_yh_s07_who_is_called_is_told_whomever_the_rule_names() -> None:
    named = Named(CALLED, alone=True)
    found = tellings("urgent_after_hours", case(), rules(NIGHT), TOWN, named=named)
    assert [(one.recipient, one.channels) for one in found] == [
        ("role:grid_worker", ("voice", "sms")),
        ("s-vc-01", ("voice", "sms")),
    ]


def test_yh_s07_a_call_goes_every_way_that_it_names_itself() -> None:
    named = Named(CALLED[1:] * 2, alone=True, via=("voice", "sms"))
    found = tellings("urgent_after_hours", case(), rules(NIGHT), TOWN, named=named)
    assert [(one.rule, one.recipient, one.channels) for one in found] == [
        ("urgent_after_hours/voice", "s-vc-01", ("voice",)),
        ("urgent_after_hours/sms", "s-vc-01", ("sms",)),
    ]


def test_yh_s09_b_who_has_it_jointly_is_told_like_the_handler() -> None:
    assigned = Rule("a", "case_assigned", ("handler", "grid_leader"), ("app",))
    found = tellings("case_assigned", case(), rules(assigned), TOWN, named=Named(CALLED[1:]))
    assert {one.recipient for one in found} == {"s-gw-01", "s-vc-01"}


def test_who_is_called_is_to_answer_in_that_place_and_nobody_else() -> None:
    places = [place_of(who, CALLED, TOWN) for who in ("s-vc-01", "role:grid_worker", "s-gw-01")]
    assert places == [CALLED[1], CALLED[0], None]

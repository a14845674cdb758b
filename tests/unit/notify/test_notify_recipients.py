import pytest

from services.notify.domain.recipients import Case, Owner, Telling, is_staff, recipient, tellings
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
    },
    town_level="town",
)
LEVELS = {
    "grid_worker": "grid",
    "grid_leader": "grid",
    "village_cadre": "village",
    "center_clerk": "town",
    "county_chief": "county",
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

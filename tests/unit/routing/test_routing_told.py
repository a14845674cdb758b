"""Nothing that becomes of a department's part in a case is kept from the department."""

from typing import get_args

from contracts.facts import ROUTING_FACTS, Change, WhistleBlownV1, WhistleRuledV1
from contracts.topics import DEPARTMENT_TASKS, department_topic
from services.routing.tasks import CHANGES, RULINGS

NOT_TOLD = {
    "whistle.called_upward.v1": "it calls a level, and no department",
    "whistle.answered.v1": "a level answers, and no department",
    "whistle.unanswered.v1": "a level has not answered",
    "whistle.unreleased.v1": "whoever blew has yet to let it go",
    "whistle.unruled.v1": "the arbiter has yet to rule",
    "whistle.answer_moved.v1": "a level answers, and no department",
    "case.consulted.v1": "its departments sat together, and the result is words",
    "case.escalated.v1": "whom the town turns to after a miss is the town's business",
}


def test_every_fact_about_a_department_is_told_to_it_or_left_out_on_purpose() -> None:
    about = {
        name
        for name, model in ROUTING_FACTS.items()
        if name.startswith("whistle.") or {"department", "departments"} & model.model_fields.keys()
    }
    assert about == {*CHANGES, WhistleBlownV1.TYPE, WhistleRuledV1.TYPE, *NOT_TOLD}


def test_every_change_has_its_fact() -> None:
    told = [*CHANGES.values(), *RULINGS.values(), "case_closed"]
    assert sorted(told) == sorted(get_args(Change))


def test_no_two_departments_share_a_topic() -> None:
    topic = department_topic("a.b", "police")
    assert topic.name == "dept.a.b.police"
    assert (topic.partitions, topic.key) == (DEPARTMENT_TASKS.partitions, "tenant|case")

"""What must hold of flows, and of the whistle which runs beside them."""

from collections.abc import Iterable, Iterator

from contracts.profile.flows import DRAFT, Flow
from contracts.profile.problems import Problem, did_you_mean
from contracts.profile.whistle import CallUpward
from contracts.profile.whole import Profile


def flows(profile: Profile) -> Iterator[Problem]:
    for flow in profile.flows:
        path = f"flows.{flow.id}"
        yield from _graph(path, flow)
        yield from _draft(path, flow)
        yield from _meanings(path, flow)
        yield from _words(path, flow)
        yield from _distinct(path, flow)
        yield from _again(path, flow)


def _graph(path: str, flow: Flow) -> Iterator[Problem]:
    """From the start every state can be reached, and from every state an end."""
    edges = [(source, step.to) for step in flow.steps for source in step.from_states]
    if not flow.step_ids_from(flow.start):
        yield Problem(
            f"{path}.start",
            f"没有步骤从 {flow.start!r} 出发，流程无法开始",
            f"no step leaves {flow.start!r}, so that the flow cannot begin",
        )
        return
    reached = _closure({flow.start}, edges)
    ending = _closure(set(flow.end), [(target, source) for source, target in edges])
    for state in flow.state_ids:
        if state not in reached and state in flow.end:
            yield Problem(
                f"{path}.end",
                f"结束状态 {state!r} 走不到，请补上通向它的步骤",
                f"the end {state!r} cannot be reached — add a step that leads there",
            )
        elif state not in reached:
            yield Problem(
                _place(path, flow, state),
                f"从 {flow.start!r} 出发走不到状态 {state!r}",
                f"state {state!r} cannot be reached from {flow.start!r}",
            )
        elif state not in ending:
            yield Problem(
                _place(path, flow, state),
                f"状态 {state!r} 走不到任何结束状态（{', '.join(flow.end)}）",
                f"state {state!r} leads to no end ({', '.join(flow.end)})",
            )


def _closure(start: set[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    edges = tuple(edges)
    seen, ahead = set(start), list(start)
    while ahead:
        here = ahead.pop()
        for source, target in edges:
            if source == here and target not in seen:
                seen.add(target)
                ahead.append(target)
    return seen


def _place(path: str, flow: Flow, state: str) -> str:
    """Return the path of the step which brings a state into the flow."""
    for step in flow.steps:
        if step.to == state:
            return f"{path}.steps.{step.id}.to"
    for step in flow.steps:
        if state in step.from_states:
            return f"{path}.steps.{step.id}.from"
    return f"{path}.start"


def _draft(path: str, flow: Flow) -> Iterator[Problem]:
    places = [(f"{path}.start", flow.start), *((f"{path}.end", end) for end in flow.end)]
    places += [(f"{path}.steps.{step.id}.to", step.to) for step in flow.steps]
    for place, state in places:
        if state == DRAFT:
            yield Problem(
                place,
                "draft 表示事项尚不存在，只能写在 from 里",
                "draft means that the subject does not exist yet; it stands in `from` alone",
            )


def _meanings(path: str, flow: Flow) -> Iterator[Problem]:
    for step in flow.steps:
        if step.means == "return_visit" and "satisfied" not in step.needs:
            yield Problem(
                f"{path}.steps.{step.id}.needs",
                "回访步骤（means: return_visit）要写明 satisfied",
                "a step that means return_visit must need `satisfied` — add it",
            )


def _words(path: str, flow: Flow) -> Iterator[Problem]:
    for state in flow.states:
        if state not in flow.state_ids:
            zh, en = did_you_mean(state, flow.state_ids)
            yield Problem(
                f"{path}.states.{state}",
                f"流程里没有状态 {state!r}{zh}",
                f"the flow has no state {state!r}{en}",
            )
    if flow.subject == "case":
        for state in flow.state_ids:
            if state not in flow.states:
                yield Problem(
                    f"{path}.states.{state}",
                    f"页面要用状态 {state!r} 的名称，请补上 {{zh: …, en: …}}",
                    f"pages need words for the state {state!r} — add {{zh: …, en: …}}",
                )


def _distinct(path: str, flow: Flow) -> Iterator[Problem]:
    for group in flow.distinct:
        for step_id in group:
            if step_id not in flow.steps_by_id:
                zh, en = did_you_mean(step_id, flow.steps_by_id)
                yield Problem(
                    f"{path}.distinct",
                    f"没有步骤 {step_id!r}{zh}",
                    f"unknown step {step_id!r}{en}",
                )


def _again(path: str, flow: Flow) -> Iterator[Problem]:
    """What sends a settled matter back to work needs a step that does so."""
    reopens = any(step.means == "reopen" for step in flow.steps)
    if flow.rating:
        for word in flow.rating.reopen_on:
            if word not in flow.rating.scale:
                yield Problem(
                    f"{path}.rating.reopen_on",
                    f"{word!r} 不在 rating.scale 里",
                    f"{word!r} is not in rating.scale",
                )
    for place, wanted in (
        ("rating.reopen_on", bool(flow.rating and flow.rating.reopen_on)),
        ("look_back.reopen_on_relapse", bool(flow.look_back and flow.look_back.reopen_on_relapse)),
    ):
        if wanted and not reopens:
            yield Problem(
                f"{path}.{place}",
                "流程里没有重办步骤，请给该步骤标上 means: reopen",
                "the flow has no step that means reopen — mark the step",
            )


def whistle(profile: Profile) -> Iterator[Problem]:
    whistle = profile.whistle
    if not whistle.enabled:
        return
    for key, named in (("blowers", whistle.blowers), ("targets", whistle.targets)):
        if not named:
            yield Problem(
                f"whistle.{key}",
                "启用吹哨时不能为空",
                "must not be empty while the whistle is enabled",
            )
    yield from _report_ins(profile)
    for role_id in whistle.blowers:
        role = profile.roles_by_id.get(role_id)
        if role and "whistle" not in role.can:
            yield Problem(
                f"roles.{role_id}.can",
                "列在 whistle.blowers 里，却没有 whistle 权限，请补上",
                "is among whistle.blowers but may not whistle — add `whistle`",
            )
    yield from _stages(profile)


def _report_ins(profile: Profile) -> Iterator[Problem]:
    deadlines = profile.whistle.report_in
    for class_id in profile.classes_by_id:
        if class_id not in deadlines:
            yield Problem(
                f"whistle.report_in.{class_id}",
                "这一紧急程度没有报到时限，请补上",
                "this class has no report-in deadline — add one",
            )
    for class_id, deadline in deadlines.items():
        if deadline.counts_from != "blown":
            yield Problem(
                f"whistle.report_in.{class_id}.counts_from",
                "报到时限从吹哨时算起，请写 blown",
                "a report-in deadline counts from the call — write `blown`",
            )


def _stages(profile: Profile) -> Iterator[Problem]:
    whistle = profile.whistle
    if whistle.on_site_only and "on_site" not in whistle.report_in_means:
        yield Problem(
            "whistle.on_site_only",
            "报到方式 report_in_means 里没有 on_site，请补上",
            "whistle.report_in_means lacks on_site — add it",
        )
    for position, step in enumerate(whistle.on_miss):
        path = f"whistle.on_miss.{position}"
        if step.do == "escalate" and step.to is None:
            yield Problem(
                f"{path}.to",
                "escalate 要写明上报到哪一级",
                "is missing — escalate needs the level it goes to",
            )
        if step.do == "call_upward" and not whistle.call_upward.enabled:
            yield Problem(
                f"{path}.do",
                "call_upward 未启用，见 whistle.call_upward.enabled",
                "call_upward is not enabled, see whistle.call_upward.enabled",
            )
    yield from _call_upward(profile, whistle.call_upward)


def _call_upward(profile: Profile, call: CallUpward) -> Iterator[Problem]:
    if not call.enabled:
        return
    for key, value in (
        ("from", call.from_level),
        ("to", call.to),
        ("deadline", call.deadline),
    ):
        if value is None:
            yield Problem(
                f"whistle.call_upward.{key}",
                "启用上呼时要写明",
                "is missing though call_upward is enabled — add it",
            )
    lower, upper = call.from_level or "", call.to or ""
    if lower not in profile.levels_above or upper not in profile.levels_above:
        return
    if upper not in {level.id for level in profile.levels_up(lower)}:
        yield Problem(
            "whistle.call_upward.to",
            f"{upper!r} 不在 {lower!r} 之上",
            f"{upper!r} is not above {lower!r}",
        )

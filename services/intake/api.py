"""HTTP in: reports, and what their reporters may follow."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.types import ASGIApp

from contracts.profile import Profile
from services.chassis.postgres import DOOR_WAIT_S, Pool
from services.doors.document import extend, refusal
from services.doors.route import JsonRoute
from services.intake import store
from services.intake.accept import Acceptor
from services.intake.acts import Act, ActAccepted, Acts
from services.intake.callers import Callers
from services.intake.domain.tracking import normal_code, shown_code
from services.intake.follow_ups import FollowUps, code_unknown
from services.intake.front import with_hot_doors
from services.intake.gate import Gate
from services.intake.registry import Registry, TownKnown
from services.intake.report import Accepted, Report
from services.intake.settings import IntakeSettings
from services.intake.store import Tracked, TrackedStep
from services.intake.surface import MODELS, hot_doors


class WordsView(BaseModel):
    """A name in both languages; where English is missing, the Chinese stands for it."""

    zh: str
    en: str


class StageView(WordsView):
    state: str


class HandlerView(BaseModel):
    """Who has it: a role at a unit, never a person."""

    role: WordsView
    unit: WordsView


class StepView(WordsView):
    at: datetime
    role: WordsView


class TrackView(BaseModel):
    """What a reporter may know: the stage, who has it, by when. No personal data."""

    tracking_code: str
    number: str
    town: WordsView
    stage: StageView
    handler: HandlerView
    due_at: datetime | None
    received_at: datetime
    changed_at: datetime
    steps: list[StepView]


def make_router(pool: Pool, registry: Registry, callers: Callers, gate: Gate) -> APIRouter:
    """Make the endpoints for those who follow a report; in a crowd they are the first to wait."""
    router = APIRouter(prefix="/v1", tags=["track"], route_class=JsonRoute)

    @router.get("/track/{code}", responses={429: refusal("Too many looks: Retry-After")})
    async def get_track(code: str, request: Request) -> TrackView:
        who = callers.check(request)
        wanted = normal_code(code)
        with gate.look():
            async with pool.acquire(timeout=DOOR_WAIT_S) as conn:
                case = await store.by_code(conn, wanted) if wanted else None
                steps = await store.steps(conn, case) if case else []
        if case is None:
            callers.was_wrong(who)
            raise code_unknown()
        return track_view(case, steps, registry.towns.get(case.tenant_id, TownKnown()))

    return router


def track_view(case: Tracked, steps: list[TrackedStep], town: TownKnown) -> TrackView:
    """Put a case into words that its reporter understands."""
    profile = town.profile
    flow = profile.flows_by_id.get(case.flow) if profile else None
    names = {step.id: step for step in flow.steps} if flow else {}
    stage = flow.states.get(case.state) if flow else None
    shown = steps if flow and flow.public_steps else []
    unit = town.units.get(case.owner_unit)
    return TrackView(
        tracking_code=shown_code(case.tracking_code),
        number=case.number,
        town=_words(profile and profile.town, case.tenant_id),
        stage=StageView(state=case.state, **_words(stage, case.state).model_dump()),
        handler=HandlerView(
            role=_role(profile, case.owner_role),
            unit=_words(unit, case.owner_unit),
        ),
        due_at=case.due_at,
        received_at=case.received_at,
        changed_at=case.changed_at,
        steps=[
            StepView(
                at=step.at,
                role=_role(profile, step.role),
                **_words(names.get(step.step), step.step).model_dump(),
            )
            for step in shown
        ],
    )


def _role(profile: Profile | None, role: str) -> WordsView:
    if role == "system":  # a step taken by rule
        return WordsView(zh="系统", en="System")
    if role == "reporter":  # a step by which he took his report back
        return WordsView(zh="报事人", en="Reporter")
    return _words(profile and profile.roles_by_id.get(role), role)


def _words(named: Any, fallback: str) -> WordsView:  # noqa: ANN401 - whatever has `zh` and `en`
    zh = getattr(named, "zh", None) or fallback
    return WordsView(zh=zh, en=getattr(named, "en", None) or zh)


def with_front_ends(
    app: FastAPI, acceptor: Acceptor, settings: IntakeSettings, follow_ups: FollowUps
) -> ASGIApp:
    """Return the app with the doors of front ends, documented from the models that they read."""
    more = hot_doors(acceptor, settings, follow_ups, _POST_CASE)
    doors = {path: door.handle for path, door in more.items()}
    doors |= {"/v1/cases": acceptor.post_case, "/v1/acts": Acts(acceptor).post_act}
    for path, handle in doors.items():
        app.router.add_route(path, handle, methods=["POST"])

    def tell(schema: dict[str, Any]) -> None:
        components = schema.setdefault("components", {})
        components.setdefault("securitySchemes", {})["api_key"] = _API_KEY
        parts = components.setdefault("schemas", {})
        for model in _MODELS:
            made = model.model_json_schema(ref_template="#/components/schemas/{model}")
            parts |= {**made.pop("$defs", {}), model.__name__: made}
        schema["paths"]["/v1/cases"] = {"post": _POST_CASE}
        schema["paths"]["/v1/acts"] = {"post": _POST_ACT}
        schema["paths"] |= {path: {"post": door.document} for path, door in more.items()}

    extend(app, tell)
    return with_hot_doors(app, doors, acceptor.gate, settings.refusal_hold_s)


_MODELS: tuple[type[BaseModel], ...] = (Report, Accepted, Act, ActAccepted, *MODELS)


_API_KEY = {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


_POST_CASE: dict[str, Any] = {
    "tags": ["cases"],
    "summary": "Report a case; 202 means that it will never be lost",
    "operationId": "post_case",
    "parameters": [
        {
            **_IDEMPOTENCY_KEY,
            "description": "Your own id of this report. The same key is the same case, for ever.",
        },
    ],
    "security": [{"api_key": []}],
    "requestBody": {"required": True, "content": _json(Report)},
    "responses": {
        "202": {"description": "Accepted", "content": _json(Accepted)},
        "400": refusal("No idempotency key, or a body that is not JSON"),
        "401": refusal("The API key is unknown, expired or revoked"),
        "403": refusal("The key may not report this category"),
        "404": refusal("No such tenant for this key"),
        "408": refusal("The body did not arrive whole"),
        "413": refusal("The body is too large"),
        "422": refusal("A field is wrong; `errors` or `field` names it"),
        "429": refusal("Too fast or too much: Retry-After"),
        "503": refusal("Not confirmed, or not ready: send again with the same key"),
    },
}
_POST_ACT: dict[str, Any] = {
    **_POST_CASE,
    "tags": ["acts"],
    "summary": "Report in for a department; 202 means that it will never be lost",
    "operationId": "post_act",
    "parameters": [
        {**_IDEMPOTENCY_KEY, "description": "Your own id of this act: a repeat takes no effect."},
    ],
    "requestBody": {"required": True, "content": _json(Act)},
    "responses": {
        **_POST_CASE["responses"],
        "202": {"description": "Accepted", "content": _json(ActAccepted)},
        "403": refusal("The key may not act for this department"),
    },
}

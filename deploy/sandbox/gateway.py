"""`POST /` as Dysmsapi and Dyvmsapi answer it: both are 2017-05-25, and sign alike."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import Request, Response
from starlette.routing import Route

from deploy.sandbox.calls import place_call
from deploy.sandbox.details import answer_question, read_question
from deploy.sandbox.provider import Fields, Provider, answer, provider_of, refuse
from deploy.sandbox.receipts import CHINA
from deploy.sandbox.refusal import Refusal
from deploy.sandbox.sends import THROTTLED, send_sms
from deploy.sandbox.signature import SignedRequest, read_query, verify

VERSION = "2017-05-25"
UNKNOWN_ACTION = Refusal(
    "InvalidAction.NotFound",
    "Specified api is not found, please check your url and method.",
    HTTPStatus.NOT_FOUND,
)
UNKNOWN_VERSION = Refusal(
    "InvalidVersion", "Specified parameter Version is not valid.", HTTPStatus.BAD_REQUEST
)
NONCE_USED = Refusal(
    "SignatureNonceUsed", "Specified signature nonce was used already.", HTTPStatus.BAD_REQUEST
)
BAD_QUERY = Refusal(
    "InvalidParameter",
    "The query string is too long, or a field stands in it twice.",
    HTTPStatus.BAD_REQUEST,
)


async def query_send_details(provider: Provider, request: Request, fields: Fields) -> Response:
    """Look a send up whose answer never came."""
    del request
    today = provider.clock().astimezone(CHINA).date()
    question = read_question(fields, today)
    if isinstance(question, Refusal):
        return refuse(question)
    of_phone = provider.messages.find(question.phone, None)
    return answer(answer_question(question, (one for one in of_phone if not one.call)))


Action = Callable[[Provider, Request, Fields], Awaitable[Response]]
ACTIONS: Mapping[str, Action] = {
    "SendSms": send_sms,
    "QuerySendDetails": query_send_details,
    "IvrCall": place_call,
}


async def call(request: Request) -> Response:
    """One address for everything; the headers tell what is asked."""
    provider = provider_of(request)
    raw = SignedRequest(
        method=request.method,
        path=request.url.path,
        query=request.scope["query_string"].decode("latin-1"),
        headers=read_headers(request),
        body=await request.body(),
    )
    if len(raw.query) > provider.settings.query_bytes_max:
        return refuse(BAD_QUERY)
    refusal = admission_refusal(provider, raw)
    if refusal is not None:
        return refuse(refusal)
    fields = read_query(raw.query)
    if len(dict(fields)) != len(fields):
        return refuse(BAD_QUERY)
    return await ACTIONS[raw.header("x-acs-action")](provider, request, dict(fields))


def admission_refusal(provider: Provider, raw: SignedRequest) -> Refusal | None:
    """What the gateway checks before it looks at the business."""
    now = provider.clock()
    caller = verify(raw, provider.secrets, now)
    if isinstance(caller, Refusal):
        return caller
    if not provider.nonces.use(caller.access_key_id, caller.nonce, now):
        return NONCE_USED
    if raw.header("x-acs-version") != VERSION:
        return UNKNOWN_VERSION
    if raw.header("x-acs-action") not in ACTIONS:
        return UNKNOWN_ACTION
    return None if provider.throttle.admits(now) else THROTTLED


def read_headers(request: Request) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.raw:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return headers


# A plain route: fields and headers are read here, so FastAPI's reading of them would be waste.
ROUTE = Route("/", call, methods=["POST"])

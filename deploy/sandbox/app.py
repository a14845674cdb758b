"""Puts the provider together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from deploy.sandbox import control, gateway, phones
from deploy.sandbox.calls import CALLS
from deploy.sandbox.faults import FaultBoard
from deploy.sandbox.limits import AccountThrottle, Nonces, SendWindows
from deploy.sandbox.messages import Messages
from deploy.sandbox.provider import Provider
from deploy.sandbox.receipts import Reporter
from deploy.sandbox.replies import Replies
from deploy.sandbox.settings import SandboxSettings
from deploy.sandbox.signature import SKEW_MAX
from deploy.sandbox.truth import TruthFile

STATIC = Path(__file__).parent / "static"

log = structlog.get_logger("sandbox")


def utc_now() -> datetime:
    return datetime.now(UTC)


def build_app(
    settings: SandboxSettings, closing: asyncio.Event, clock: Callable[[], datetime] = utc_now
) -> FastAPI:
    """Everything is read here, so that a fault in the files shows before the port opens."""
    truth = TruthFile(settings.truth_file) if settings.truth_file else None
    provider = build_provider(settings, closing, clock, truth)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        provider.reporter.resume()
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(provider.reporter.run())
            answering = tasks.create_task(provider.replies.run())
            log.info("sandbox_started", messages=len(provider.messages), port=settings.port)
            yield
            telling.cancel()
            answering.cancel()
        if truth:
            truth.close()
        log.info("sandbox_stopped", messages=len(provider.messages))

    app = FastAPI(
        title="Chuishao SMS sandbox",
        lifespan=lifespan,
        max_body_size=settings.body_bytes_max,
        docs_url=None,  # it would load its scripts from elsewhere
        redoc_url=None,
    )
    app.state.provider = provider
    app.state.page = phones.Page(provider, settings.names())
    control.add_problem_handlers(app)
    app.router.routes.append(gateway.ROUTE)
    for part in (control, phones):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def build_provider(
    settings: SandboxSettings,
    closing: asyncio.Event,
    clock: Callable[[], datetime],
    truth: TruthFile | None,
) -> Provider:
    """What an earlier process wrote down counts, also against how often somebody is written to."""
    messages = Messages(settings.messages_max, truth)
    windows = SendWindows(settings.frequency(), settings.messages_max)
    call_windows = SendWindows(settings.call_frequency(), settings.messages_max)
    for message in messages.every():
        key = (message.phone, CALLS if message.call else message.template_code)
        (call_windows if message.call else windows).count(key, message.accepted_at)
    return Provider(
        settings=settings,
        catalogue=settings.catalogue(),
        call_catalogue=settings.call_catalogue(),
        secrets=settings.secrets(),
        clock=clock,
        closing=closing,
        messages=messages,
        reporter=Reporter(settings.receipts, messages, clock),
        replies=Replies(settings.replies, clock),
        faults=FaultBoard(settings.faults_max),
        windows=windows,
        call_windows=call_windows,
        throttle=AccountThrottle(settings.limits.account_per_s_max),
        # As long as a request with that nonce could still carry an acceptable date.
        nonces=Nonces(2 * SKEW_MAX, settings.nonces_max),
    )

"""`python -m deploy.sandbox --config FILE`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from deploy.sandbox.app import build_app
from deploy.sandbox.server import SandboxServer
from deploy.sandbox.settings import SandboxSettings
from services.telemetry import traces

BAD_CONFIGURATION = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description=__doc__)
    parser.add_argument("--config", type=Path, help="JSON file; SANDBOX_* variables win over it")
    arguments = parser.parse_args()
    try:
        settings = SandboxSettings.read(arguments.config)
    except (OSError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    traces.configure("sandbox")
    return uvloop.run(serve(settings))


async def serve(settings: SandboxSettings) -> int:
    closing = asyncio.Event()
    try:
        app = build_app(settings, closing)
    except (OSError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    server = SandboxServer(app, settings, closing)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())

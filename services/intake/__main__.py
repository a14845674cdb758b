"""Run this service: `python -m services.intake`."""

import asyncio

from services.intake.app import main

asyncio.run(main())

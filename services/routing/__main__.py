"""Run this service: `python -m services.routing`."""

import asyncio

from services.routing.app import main

asyncio.run(main())

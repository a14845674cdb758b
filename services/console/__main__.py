"""Run this service: `python -m services.console`."""

import asyncio

from services.console.app import main

asyncio.run(main())

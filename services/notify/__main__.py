"""Run this service: `python -m services.notify`."""

import asyncio

from services.notify.app import main

asyncio.run(main())

"""Run this service: `python -m services.ledger`."""

import asyncio

from services.ledger.app import main

asyncio.run(main())

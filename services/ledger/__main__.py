"""Run this service: `python -m services.ledger`."""

import uvloop

from services.ledger.app import main

uvloop.run(main())

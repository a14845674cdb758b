"""Run this service: `python -m services.routing`."""

import uvloop

from services.routing.app import main

uvloop.run(main())

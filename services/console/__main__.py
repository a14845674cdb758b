"""Run this service: `python -m services.console`."""

import uvloop

from services.console.app import main

uvloop.run(main())

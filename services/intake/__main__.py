"""Run this service: `python -m services.intake`."""

import uvloop

from services.intake.app import main

uvloop.run(main())

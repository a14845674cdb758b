"""Run this service: `python -m services.notify`."""

import uvloop

from services.notify.app import main

uvloop.run(main())

"""Run this service: `python -m services.routing`."""

from services.doors.start import start
from services.routing.app import main
from services.routing.settings import RoutingSettings

start(RoutingSettings, main)

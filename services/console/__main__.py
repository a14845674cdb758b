"""Run this service: `python -m services.console`."""

from services.console.app import main
from services.console.settings import ConsoleSettings
from services.doors.start import start

start(ConsoleSettings, main)

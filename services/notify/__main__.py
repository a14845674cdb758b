"""Run this service: `python -m services.notify`."""

from services.doors.start import start
from services.notify.app import main
from services.notify.settings import NotifySettings

start(NotifySettings, main)

"""Run this service: `python -m services.intake`."""

from services.doors.start import start
from services.intake.app import main
from services.intake.settings import IntakeSettings

start(IntakeSettings, main)

"""Run this service: `python -m services.ledger`."""

from services.doors.start import start
from services.ledger.app import main
from services.ledger.settings import LedgerSettings

start(LedgerSettings, main)

"""Faults on purpose: real processes are killed and frozen under load, then all is counted."""

"""The rules of ledger. Pure: no clock, no I/O, no randomness, no town's name."""

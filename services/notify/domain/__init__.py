"""The rules of notify. Pure: no clock, no I/O, no randomness, no town's name."""

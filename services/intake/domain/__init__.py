"""The rules of intake. Pure: no clock, no I/O, no randomness, no town's name."""

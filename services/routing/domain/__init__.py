"""The rules of routing. Pure: no clock, no I/O, no randomness, no town's name."""

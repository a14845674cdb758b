"""The command `chuishao`."""

"""All SQL of the console: `projection` writes the board, `look` reads what it shows."""

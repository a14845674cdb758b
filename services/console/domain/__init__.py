"""What the board makes of facts, and how it says it: no clock, no database, no network."""

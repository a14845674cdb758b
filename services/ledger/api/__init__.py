"""HTTP in: the registry's door, the counts, and what the ledger holds of a case."""

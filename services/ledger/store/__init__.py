"""All SQL of ledger. Functions take a connection; whoever calls them owns the transaction."""

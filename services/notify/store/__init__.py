"""All SQL of notify. Functions take a connection; whoever calls them owns the transaction."""

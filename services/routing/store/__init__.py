"""All SQL of routing. Functions take a connection; whoever calls them owns the transaction."""

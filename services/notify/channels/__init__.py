"""Ways in which messages go out. Each speaks one provider's language and knows no case."""

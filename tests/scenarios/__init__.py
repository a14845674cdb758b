"""The field's own scenarios, told to a whole stack through its doors, each in its own town."""

"""A make-believe SMS provider: strict as the real one, and every phone can be looked at."""

"""How what was set aside comes back into effect, in each service by the service itself."""

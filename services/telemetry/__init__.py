"""What operators see of a running service: metrics by one list of names, and traces."""

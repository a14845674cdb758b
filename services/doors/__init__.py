"""What the HTTP doors of all services have in common beyond the chassis: reading, and refusing."""

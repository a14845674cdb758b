"""What is not of one town."""

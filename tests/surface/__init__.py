"""Every door of every service, asked what nobody thought of."""

"""Grafana: a dashboard per service, generated from the list of metric names."""

"""Sweep: a sweep started, followed and stopped from a notebook."""

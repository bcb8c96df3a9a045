"""Attacks on what the product promises: ``python -m tests.trust`` makes them and writes what came of it."""

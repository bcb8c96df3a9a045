"""Explore: the chosen pairs and the codes as maps, galleries and neighbours."""

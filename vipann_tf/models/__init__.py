"""Layers and networks, and the randomness that they share."""

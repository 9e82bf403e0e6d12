"""Tests; `helpers` holds what several of them share."""

"""Evaluation, calibration, comparison and ranking of trained models."""

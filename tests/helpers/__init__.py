"""What several tests share.

Small data, networks and trainings, oracles, and scripts that run as processes of their own
(`python -m tests.helpers.NAME`).
"""

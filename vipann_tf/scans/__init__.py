"""Scans: a model's answers for the windows of many long recordings, in Parquet files."""

"""Published data sets and checkpoints: where they are, and how they get here. No TensorFlow."""

from vipann_tf.downloads.download import CACHE_VARIABLE, default_directory, download, is_complete
from vipann_tf.downloads.table import Entry, RemoteFile, find, read_table

__all__ = [
    "CACHE_VARIABLE",
    "Entry",
    "RemoteFile",
    "default_directory",
    "download",
    "find",
    "is_complete",
    "read_table",
]

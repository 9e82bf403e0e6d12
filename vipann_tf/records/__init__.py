"""Dataset directories: prepared from recordings, and read as `tf.data` batches."""

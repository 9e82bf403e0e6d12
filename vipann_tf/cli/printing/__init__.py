"""What the commands print; nothing outside of `cli` prints."""

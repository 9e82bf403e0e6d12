"""Model directories: written, read, asked."""

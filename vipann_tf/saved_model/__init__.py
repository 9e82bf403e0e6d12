"""Writing, reading and querying of model directories."""

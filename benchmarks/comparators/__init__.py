"""Networks of the same shape as ours, built from what other libraries offer."""

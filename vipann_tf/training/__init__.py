"""Training: pretraining, transfer and cross-validation."""

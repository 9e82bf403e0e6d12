"""Audio: decoding, windows, the log-mel frontend and augmentation."""

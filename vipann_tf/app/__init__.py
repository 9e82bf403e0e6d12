"""The page on which people hear what a model doubts, and answer."""

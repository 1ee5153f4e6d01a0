"""What a model sent back: read, checked, or refused."""

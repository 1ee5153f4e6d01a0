"""Few frames spread over the episode, with the same number on the same object."""

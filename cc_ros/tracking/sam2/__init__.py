"""SAM 2.1 online: every frame labelled against the episode so far (paper section 3, step 1)."""

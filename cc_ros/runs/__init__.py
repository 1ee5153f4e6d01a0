"""The files of a run, and its report."""

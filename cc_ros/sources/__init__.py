"""Reading videos, image folders and bags; writing the files of a run."""

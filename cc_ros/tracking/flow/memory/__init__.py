"""What the flow backend remembers of objects that are out of sight."""

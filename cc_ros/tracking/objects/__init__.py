"""Detection of objects of any kind in single images."""

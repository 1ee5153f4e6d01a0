"""Seeing objects of any kind in single images."""

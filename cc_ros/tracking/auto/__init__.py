"""A slow tracker as often as the machine allows, carried to every frame by optical flow."""

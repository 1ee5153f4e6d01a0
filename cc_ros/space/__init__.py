"""From a mark in a picture to a bearing and a point in the world."""

"""The connection to an OpenAI-compatible server: requests, limits, faults."""

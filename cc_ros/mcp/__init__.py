"""A Model Context Protocol server: what agents may ask of the running nodes, as few bounded tools."""

"""The live page: what the running nodes see, and a place to ask them.

One process beside the nodes. It listens to them by :class:`cc_ros.client.SpatialMemory` and serves browsers: the page
itself, pictures by their digest, and one WebSocket a browser for everything that changes.
"""

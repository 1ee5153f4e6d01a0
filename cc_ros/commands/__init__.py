"""The subcommands of ``cc-ros``, one module each: what it is for, its options, and what it does."""

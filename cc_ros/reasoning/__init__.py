"""From marked keyframes and a question to a checked answer."""

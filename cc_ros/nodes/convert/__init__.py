"""Between ROS messages and ours: every conversion, and nothing else.

The tests of this package hold each message against its dataclass, field by field.
"""

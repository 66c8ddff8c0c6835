"""The one exception a user is meant to read."""


class UserError(ValueError):
    """Input that cannot be used: the message is one line that says what is wrong and what to do about it."""

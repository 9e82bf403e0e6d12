"""The exceptions that mean "the user can mend this"."""


class UserError(ValueError):
    """A mistake that the caller can mend: the message names the value received and the fix.

    The command line prints it as one line and exits with status 1; a library caller may catch it
    as the `ValueError` that it is.
    """


class Stopped(UserError):
    """The process was told to stop; what was done so far is kept, and the same call resumes."""

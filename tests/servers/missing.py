"""What is said where a server is not on this machine."""


class Missing(Exception):  # noqa: N818 - it is what is the matter
    """Something has to be installed first; the text says what."""

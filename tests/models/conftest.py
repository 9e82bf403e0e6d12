"""Networks that several test modules ask; none may change them."""

import pytest

from tests.helpers import networks


@pytest.fixture(scope="session")
def tiny():
    """Makes each kind of `networks.KINDS` once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = networks.network(kind)
        return made[kind]

    return get

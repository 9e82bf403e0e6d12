"""A server on this machine, and no pause between attempts."""

import pytest

from tests.helpers.download_server import serving
from vipann_tf.downloads import transfer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    with serving() as running:
        yield running

"""The web server: who gets in, what it gives, and what it never gives."""

import csv
import io
import threading

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from vipann_tf.app import server
from vipann_tf.app.later import Later
from vipann_tf.app.server import COOKIE, HEADER, Access, application, is_loopback
from vipann_tf.app.session import Session

ADDRESS = "http://127.0.0.1:8123"
OURS = {HEADER: "1"}


def client_of(session, **access):
    access = Access(**{"hosts": ("127.0.0.1",), **access})
    return TestClient(application(session, access), base_url=ADDRESS)


@pytest.fixture(scope="module")
def client(shared):
    return client_of(shared)


def sound(seconds=1.5, rate_hz=16_000):
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * rate_hz))
    soundfile.write(file, noise, rate_hz, format="WAV")
    return file.getvalue()


def test_a_clip_is_heard_and_answered(opened, model, tmp_path):
    client = client_of(opened(tmp_path / "labels"))
    found = client.get("/api/next?who=ann").json()
    assert found["clip"] == 0 and found["mine"] is None
    probabilities = [x["probability"] for x in found["labels"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert all(0 <= x["low"] <= x["high"] <= 1 for x in found["labels"])
    assert found["total"] == pytest.approx(found["aleatoric"] + found["epistemic"], abs=1e-5)
    assert found["picture"].startswith("data:image/png;base64,")
    assert found["sound"].startswith("data:audio/")
    answer = {"who": "ann", "verdict": "labels", "labels": ["owl"]}
    state = client.post("/api/clips/0/answer", json=answer, headers=OURS).json()
    assert state["progress"]["answered"] == 1 and "owl" in state["labels"]
    with open(tmp_path / "labels" / "labels.csv", encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["labels"], row["who"], row["model"]) == ("owl", "ann", model.name)
    assert row["guess"] == found["labels"][0]["label"]
    assert float(row["probability"]) == pytest.approx(probabilities[0], abs=1e-6)
    kept, rate_hz = soundfile.read(tmp_path / "labels" / row["filename"])
    assert rate_hz == 32_000 and len(kept) == 32_000
    assert client.get("/api/clips/0?who=ann").json()["mine"]["labels"] == ["owl"]


@pytest.mark.parametrize(
    "sent, message",
    [
        ({"who": "", "verdict": "none", "labels": []}, "say who you are"),
        ({"who": "ann", "verdict": "maybe", "labels": []}, "verdict is 'maybe'"),
        ({"who": "ann", "verdict": "labels", "labels": []}, "only the verdict 'labels'"),
        ({"who": "ann", "verdict": "labels", "labels": ["a;b"]}, "can't be stored"),
        ({"who": "ann", "verdict": "labels", "labels": ["a", "b"]}, "has one label"),
        ({"who": "ann"}, "the answer can't be read"),
        ([1], "the answer can't be read"),
        ({"who": "ann", "verdict": "labels", "labels": "dog"}, "labels is a list of texts"),
        ({"who": 7, "verdict": "labels", "labels": ["dog"]}, "who and verdict are texts"),
    ],
)
def test_wrong_answers(client, sent, message):
    found = client.post("/api/clips/0/answer", json=sent, headers=OURS)
    assert found.status_code == 400 and message in found.json()["error"]


def test_what_is_not_json_and_what_is_no_clip(client):
    found = client.post("/api/clips/0/answer", content=b"\xff{", headers=OURS)
    assert found.status_code == 400
    found = client.get("/api/clips/99?who=ann")
    assert found.status_code == 400 and "clip is 99" in found.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/api/clips/..%2f..%2fsetup.cfg",
        "/api/clips/../../labels.csv",
        "/templates/app.html",
        "/app.js/../server.py",
        "/api/clips/1e3",
        "/api/clips/-1",
        "//etc/passwd",
    ],
)
def test_no_file_is_reachable_by_its_name(client, path):
    found = client.get(path, params={"who": "ann"})
    assert found.status_code in (400, 404)
    assert "root:" not in found.text and "import" not in found.text


def test_a_sound_is_heard_with_what_it_is_like(client):
    found = client.post("/api/listen", content=sound(), headers=OURS).json()
    assert found["seconds"] == pytest.approx(1.5) and found["notices"] == []
    assert len(found["neighbours"]) == 5
    assert all(clip["clip_id"].startswith("fold1-") for clip in found["neighbours"])
    similar = [clip["similarity"] for clip in found["neighbours"]]
    assert similar == sorted(similar, reverse=True) and similar[0] <= 1 + 1e-6


def test_only_the_first_minute_is_heard_and_that_is_said(client, monkeypatch):
    monkeypatch.setattr("vipann_tf.app.hearing.MAX_SECONDS", 1.0)
    found = client.post("/api/listen", content=sound(3.0), headers=OURS).json()
    assert found["seconds"] == pytest.approx(1.0)
    assert found["notices"] == ["cut: 1.0 s of 3.0 s are used"]


@pytest.mark.parametrize("content", [b"", b"not a sound", b"\0" * 5000])
def test_what_is_no_sound(client, content):
    found = client.post("/api/listen", content=content, headers=OURS)
    assert found.status_code == 400 and "can't be heard" in found.json()["error"]


def test_uploads_are_bounded(client, monkeypatch):
    told = {**OURS, "content-length": str(2 << 30)}
    assert client.post("/api/listen", content=b"x", headers=told).status_code == 413
    read = []

    def endless():
        while True:
            read.append(1)
            yield b"\0" * (1 << 20)

    monkeypatch.setattr(server, "MAX_UPLOAD", 3 << 20)
    found = client.post("/api/listen", content=endless_bytes(endless, 8), headers=OURS)
    assert found.status_code == 413 and "larger than 3 MiB" in found.json()["error"]


def endless_bytes(pieces, count):
    """So many pieces: the client of these tests reads them all, whatever the server says."""
    return (piece for piece, _ in zip(pieces(), range(count), strict=False))


def test_pages_of_other_sites_change_nothing(client):
    answer = {"who": "ann", "verdict": "none", "labels": []}
    assert client.post("/api/clips/0/answer", json=answer).status_code == 403
    assert client.post("/api/learn").status_code == 403
    # A name that someone pointed to this machine.
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert (
        client.options("/api/learn", headers={"origin": "http://evil.example"}).headers.get(
            "access-control-allow-origin"
        )
        is None
    )


def test_who_is_not_on_this_machine_needs_the_token(shared):
    client = client_of(shared, hosts=("*",), token="secret")
    for path in ("/", "/app.js", "/api/state", "/?token=wrong", "/api/next?who=a&token="):
        assert client.get(path).status_code == 403
    found = client.get("/?token=secret", follow_redirects=False)
    assert found.status_code == 303 and found.headers["location"] == "/"
    cookie = found.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=secret") and "HttpOnly" in cookie
    assert client.get("/").status_code == 200


def test_the_page_asks_for_nothing_elsewhere(client):
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http:" not in page.text and "https:" not in page.text
    script = client.get("/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "http:" not in script.text and "https:" not in script.text


@pytest.mark.parametrize(
    "host, wanted",
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.0.3", "example.org")),
    ],
)
def test_which_addresses_are_this_machine(host, wanted):
    assert is_loopback(host) is wanted


def test_a_sound_does_not_wait_for_the_clips_of_the_training(shared):
    begun, go = threading.Event(), threading.Event()

    def work(show):
        show(3, 8)
        begun.set()
        assert go.wait(60)
        show(4, 8)

    neighbours = Later(work)
    session = Session(shared._connection, "mine", neighbours=neighbours)
    with session.preparing():
        assert begun.wait(60)
        found = session.listen(sound())
        assert found["neighbours"] == [] and "still heard (3 of 8)" in found["notices"][-1]
        threading.Timer(0.5, go.set).start()
    # The page is closed: the thread has ended at its next step.
    assert not neighbours.is_ready and neighbours.steps is None

"""Start the page: a model, what there is to label, and a server."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence

import uvicorn

from vipann_tf.app.labelling import Labelling
from vipann_tf.app.later import Later
from vipann_tf.app.learning import Learner
from vipann_tf.app.neighbours import Neighbours
from vipann_tf.app.queue import QueuedClip, queue_of_clips, queue_of_windows
from vipann_tf.app.server import Access, application, is_loopback
from vipann_tf.app.session import Session
from vipann_tf.app.training_clips import TrainingClips
from vipann_tf.audio.channels import Channel
from vipann_tf.datasets.label_journal import LabelJournal
from vipann_tf.errors import UserError
from vipann_tf.evaluation.rank import rank
from vipann_tf.evaluation.splits import unseen_splits
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.recipes import TransferRecipe
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.connection import Connection, connect, model_name
from vipann_tf.scans.finished import read_state
from vipann_tf.scans.planning import model_fingerprint
from vipann_tf.scans.ranking import rank_windows

__all__ = ["JOURNAL", "open_session", "serve"]

JOURNAL = "labels.csv"

OnProgress = Callable[[str], Callable[[int, int], None]]


def open_session(
    model: StrPath,
    *,
    scan: StrPath | None = None,
    data: StrPath | None = None,
    splits: Sequence[str] = (),
    out: StrPath | None = None,
    by: str = "epistemic",
    top: int = 100,
    diversity: bool = True,
    recipe: TransferRecipe,
    trust: bool = False,
    on_progress: OnProgress | None = None,
) -> Session:
    """Make what the page shows.

    Args:
      model: Model directory.
      scan: Directory of a finished scan, whose windows are to be labelled.
      data: Data set of the model's training. Its training splits have the old labels, and its
        held-out ones the clips to score on. Without a scan, its other splits are to be labelled.
      splits: Splits to label, in place of these.
      out: Directory of the journal `labels.csv` and of new models; by default `labels` in the scan.
      by: Uncertainty to rank by.
      top: Clips in the queue.
      diversity: Whether to prefer clips unlike those before; a scan needs embeddings for it.
      recipe: How a head is trained.
      trust: Whether the model may do more than compute.
      on_progress: Called with what is done; returns what is called with steps done and their total.

    Raises:
      UserError: An argument is wrong.
    """
    connection = connect(model, trust=trust)
    name = model_name(model)
    told = on_progress or (lambda title: lambda done, total: None)
    if scan is None and data is None:
        if out is not None or splits:
            raise UserError("there is nothing to label; give --scan or --data, too")
        return Session(connection, name)
    if out is None:
        if scan is None:
            raise UserError("say where the labels are to be kept: --out DIR")
        out = os.path.join(scan, "labels")
    journal = LabelJournal(os.path.join(out, JOURNAL))
    clips, channel = _queue(
        connection, model, scan, data, splits, out, by, top, diversity, told("Ranking")
    )
    labelling = Labelling(clips, journal, name)
    notices = [] if scan is None else _other_model(model, scan)
    neighbours = learner = None
    note = "Nothing can be learnt here without --data, the data set of the model's training."
    if data is not None:
        dataset, trained = read_dataset_info(data), connection.info.data
        if trained is not None and trained.dataset == dataset.name:
            splits_of = trained.splits
            neighbours = Later(lambda show: Neighbours(connection, data, splits_of, show))
            learner = Learner(
                TrainingClips(model, data, out),
                *(out, recipe),
                lambda: labelling.clips,
                channel=channel,
            )
            note = ""
        elif scan is not None:
            raise UserError(
                f"{model} was trained on {trained.dataset if trained else 'nothing known'}, and "
                f"{data} is {dataset.name}; with a scan, --data is the data set of its training"
            )
        else:
            note = f"Nothing can be learnt here: {dataset.name} did not train the model."
    return Session(
        connection,
        name,
        labelling=labelling,
        neighbours=neighbours,
        learner=learner,
        note=note,
        notices=notices,
    )


def _other_model(model: StrPath, scan: StrPath) -> list[Notice]:
    """Tell if another model than the one that answers has ranked the windows."""
    state = read_state(os.fspath(scan))
    if model_fingerprint(model) == state["settings"]["model"]:
        return []
    detail = (
        f"its windows were ranked by another model, {state['model']}, and are answered by {model}; "
        "to rank them by this one, scan again with it and another --out"
    )
    return [Notice(os.fspath(scan), "", "other-model", detail)]


def _queue(
    connection: Connection,
    model: StrPath,
    scan: StrPath | None,
    data: StrPath | None,
    splits: Sequence[str],
    out: StrPath,
    by: str,
    top: int,
    diversity: bool,
    on_progress: Callable[[int, int], None],
) -> tuple[list[QueuedClip], Channel]:
    """Return the clips to label, and which channel of them is heard."""
    if scan is not None:
        if splits:
            raise UserError("--split is for clips of --data; with a scan its windows are labelled")
        settings = read_state(os.fspath(scan))["settings"]
        known = diversity and bool(settings["embeddings"])
        ranked = rank_windows(scan, by=by, top=top, diversity=known)
        return queue_of_windows(ranked, settings, connection.info), settings["channel"]
    assert data is not None
    dataset = read_dataset_info(data)
    held = connection.info.data.held_out if connection.info.data is not None else []
    unseen = unseen_splits(connection.info, dataset)
    wanted = list(splits) or [name for name in unseen if name not in held]
    if not wanted:
        raise UserError(
            f"{data} has no clips to label: its splits trained the model or were held out from it "
            f"({', '.join(held)}); give a scan, or name a split"
        )
    clips = rank(
        *(model, data),
        by=by,
        top=top,
        diversity=diversity,
        splits=wanted,
        on_progress=on_progress,
    )
    return queue_of_clips(clips, by, data, connection.info, out), "mix"


def serve(
    session: Session,
    *,
    host: str = "127.0.0.1",
    port: int = 8123,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the page until an interrupt.

    Where others than this machine can reach it, a browser must know a token, which is a part of the
    address. There is no encryption: on a network that others listen to, use an SSH tunnel.

    Args:
      session: What the page shows.
      host: Address to listen on.
      port: Port; 0 takes a free one.
      on_ready: Called with the address to open, once the server listens.

    Raises:
      UserError: The address can't be used.
    """
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise UserError(f"{host}:{port} can't be used: {error.strerror or error}") from error
    with listening:
        port = listening.getsockname()[1]
        token = "" if is_loopback(host) else secrets.token_urlsafe(16)
        # Elsewhere people may call it by any name, and the token keeps others out.
        hosts = ["*"] if token else ["127.0.0.1", "localhost", host]
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
        address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
        config = uvicorn.Config(
            application(session, Access(tuple(hosts), token)), log_level="warning", lifespan="off"
        )
        on_ready(address)
        with session.preparing():
            uvicorn.Server(config).run(sockets=[listening])

"""A model in Python: what it is, what it says of sounds, and its network."""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.face.prediction import Prediction
from vipann_tf.face.sounds import Sounds, as_sounds
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import warn_of
from vipann_tf.saved_model.connection import Connection, chosen_draws, connect
from vipann_tf.saved_model.metadata import ModelInfo, version_directory
from vipann_tf.saved_model.predict import Answer, Embedding, Predictor, Refusal
from vipann_tf.saved_model.timeline import Listener, Window

if TYPE_CHECKING:
    from vipann_tf.face.scanning import Scanned
    from vipann_tf.models.ensemble import Ensemble
    from vipann_tf.models.vipann import VIPANN

__all__ = ["Model", "load"]

Reply = TypeVar("Reply", Answer, Embedding)
OnProgress = Callable[[int, int], None]


class Model:
    """A model that answers for sounds; `load` makes one. It can be given wherever a path can.

    Args:
      path: Model directory.
      server: See `load`.
      deadline_s: See `load`.
      trust: See `load`.

    Attributes:
      path: Its version folder.
    """

    def __init__(
        self,
        path: StrPath,
        *,
        server: str | None = None,
        deadline_s: float = 60.0,
        trust: bool = False,
    ):
        # One version, whatever is written later.
        self.path: Path = version_directory(path)
        self._serving: dict[str, Any] = {
            "server": server,
            "deadline_s": deadline_s,
            "trust": trust,
        }
        self._connection: Connection = connect(self.path, **self._serving)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        info = self.info
        return (
            f"Model {self.path.parent.name}/{self.path.name}: {info.architecture.summary}, "
            f"{info.architecture.task}, {len(self.labels)} labels, {self.sample_rate_hz} Hz, "
            f"{info.num_draws} draws (seed {info.seed})"
        )

    @property
    def labels(self) -> list[str]:
        """Label names in the order of the outputs."""
        return list(self._connection.labels)

    @property
    def info(self) -> ModelInfo:
        """How the model was made (architecture, data, recipe, calibration) and its metrics."""
        return self._connection.info

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate at which the model hears; what is given is resampled to it."""
        return self.info.sample_rate_hz

    @functools.cached_property
    def network(self) -> "VIPANN | Ensemble":
        """The Keras model, or the ensemble of them, in float32; rebuilt at first use."""
        from vipann_tf.saved_model.load import load_model

        return load_model(self.path)[0]

    def predict(
        self,
        x: Sounds,
        num_draws: int | None = None,
        seed: int | None = None,
        *,
        sample_rate_hz: float | None = None,
        channel: Channel = "mix",
        draws: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Prediction:
        """Return labels and uncertainty of sounds.

        A path gets the answer of `vipann-tf predict`, and an array that of a file with the same
        samples: both are resampled by the same code, and short ones are followed by silence.
        What was padded, cut or repaired is a `NoticeWarning` and stands in the prediction.

        Args:
          x: A path or several; a waveform `[samples]`, a batch `[batch, samples]`, or a list of
            waveforms of any lengths. Waveforms are floats of any precision with full scale 1.
          num_draws: Number of draws; by default that of the export.
          seed: Seed of the draws; by default that of the export.
          sample_rate_hz: Sample rate of waveforms, which must be given with them; files say theirs.
          channel: What to hear of several channels of a file.
          draws: Whether to return the probabilities of each draw, too.
          on_progress: Called with the number of sounds answered and their total.

        Raises:
          UserError: An argument is not allowed, or a sound can't be heard; the message names the
            first one. Nothing is returned for the others: `scan` is for recordings of which some
            may be bad.
        """
        sounds = as_sounds(x, sample_rate_hz=sample_rate_hz, model_rate_hz=self.sample_rate_hz)
        num_draws, seed = chosen_draws(self.info, num_draws, seed, self.path)
        connection = dataclasses.replace(self._connection, num_draws=num_draws, seed=seed)
        predictor = Predictor(connection, channel=channel)
        found = predictor.answers(sounds, each_draw=draws)
        answers = list(_without_refusals(found, len(sounds), on_progress))
        warn_of(notice for answer in answers for notice in answer.notices)
        return Prediction.of(answers, self.labels, num_draws, seed)

    def embed(
        self,
        x: Sounds,
        *,
        sample_rate_hz: float | None = None,
        channel: Channel = "mix",
        on_progress: OnProgress | None = None,
    ) -> NDArray[np.float32]:
        """Return the embeddings of sounds by the posterior-mean network, float32 `[sounds, size]`.

        Args:
          x: As in `predict`, and so the others.
          sample_rate_hz: Sample rate of waveforms.
          channel: What to hear of several channels of a file.
          on_progress: Called with the number of sounds done and their total.

        Raises:
          UserError: As in `predict`.
        """
        sounds = as_sounds(x, sample_rate_hz=sample_rate_hz, model_rate_hz=self.sample_rate_hz)
        found = Predictor(self._connection, channel=channel).embeddings(sounds)
        embeddings = list(_without_refusals(found, len(sounds), on_progress))
        warn_of(notice for embedding in embeddings for notice in embedding.notices)
        return np.stack([embedding.values for embedding in embeddings])

    def listen(
        self,
        path: StrPath,
        *,
        window_s: float,
        hop_s: float | None = None,
        num_draws: int | None = None,
        seed: int | None = None,
        channel: Channel = "mix",
        on_progress: OnProgress | None = None,
    ) -> Iterator[Window]:
        """Return an iterator over the answers for the windows of one long recording.

        As `vipann-tf predict --window`: each answer comes while the recording is read, and memory
        does not grow with its length. Notices are warnings once it was read.

        Args:
          path: Audio file.
          window_s: Length of a window, in seconds.
          hop_s: Step between windows; by default a quarter of a window.
          num_draws: Number of draws; by default that of the export.
          seed: Seed of the draws; by default that of the export.
          channel: What to hear of several channels.
          on_progress: Called with the number of answered windows and the approximate total.

        Raises:
          UserError: An argument is not allowed, or the file can't be read, perhaps only after the
            first windows.
        """
        num_draws, seed = chosen_draws(self.info, num_draws, seed, self.path)
        listener = Listener(
            dataclasses.replace(self._connection, num_draws=num_draws, seed=seed),
            window_s=window_s,
            hop_s=window_s / 4 if hop_s is None else hop_s,
            channel=channel,
        )
        return _heard(listener, path, on_progress)

    def scan(
        self, recordings: StrPath | Sequence[StrPath], out: StrPath, **options: Any
    ) -> "Scanned":
        """Answer the windows of many recordings into a directory; see `vipann_tf.scan`."""
        from vipann_tf.face.scanning import scan

        return scan(self, recordings, out, **{**self._serving, **options})

    def timeline(self, recording: StrPath, out: StrPath, *, window_s: float, **options: Any) -> int:
        """Draw what it hears in one recording; see `vipann_tf.timeline`."""
        from vipann_tf.face.timeline import timeline

        return timeline(self, recording, out, window_s=window_s, **{**self._serving, **options})

    def evaluate(
        self, data: StrPath, out: StrPath | None = None, **options: Any
    ) -> Mapping[str, Any]:
        """Score the model on a dataset directory, and return what metrics.json holds.

        Args:
          data: Dataset directory with the model's labels.
          out: Directory to make with report, predictions and figures; by default none is kept.
          **options: Those of `vipann_tf.evaluate`.

        Raises:
          UserError: Model and data do not match, or an argument is not allowed.
        """
        from vipann_tf.evaluation.evaluate import evaluate

        if out is not None:
            return evaluate(self, data, out, **options)
        with tempfile.TemporaryDirectory() as folder:
            return evaluate(self, data, Path(folder) / "results", **options)


def load(
    path: StrPath,
    *,
    server: str | None = None,
    deadline_s: float = 60.0,
    trust: bool = False,
) -> Model:
    """Load a model; its numbers are read when they are first needed.

    Args:
      path: Model directory, NAME or NAME/1, or the name of a shipped model such as
        `everyday-sounds`.
      server: `HOST:PORT` of a TensorFlow Serving that serves the model; it is asked for `predict`,
        `embed`, `listen` and `scan` instead of loading the model.
      deadline_s: Longest time for a request to the server, in seconds.
      trust: Whether the graph of the model may do more than compute, such as read and write files.
        By default such a model is refused when it is first asked, before it is loaded.

    Raises:
      UserError: There is no model.
    """
    return Model(path, server=server, deadline_s=deadline_s, trust=trust)


def _heard(listener: Listener, path: StrPath, on_progress: OnProgress | None) -> Iterator[Window]:
    """Yield the answers of a listener, then warn of its notices."""
    try:
        yield from listener.listen(path, on_progress)
    except DecodeError as error:
        warn_of(listener.notices(path))
        raise UserError(f"{os.fspath(path)}: {error}") from error
    warn_of(listener.notices(path))


def _without_refusals(
    found: Iterator[Reply | Refusal], total: int, on_progress: OnProgress | None
) -> Iterator[Reply]:
    """Yield the answers; raise a `UserError` at the first refusal."""
    for done, answer in enumerate(found, start=1):
        if isinstance(answer, Refusal):
            raise UserError(f"{answer.path}: {answer.error}")
        yield answer
        if on_progress is not None:
            on_progress(done, total)

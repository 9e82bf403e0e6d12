"""Learn now: a new head from the clips of the training and those that people labelled."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from vipann_tf.active.acquisition import choose
from vipann_tf.active.learner import HeadLearner
from vipann_tf.active.learning import learn, write_model
from vipann_tf.app.learning_round import Round
from vipann_tf.app.queue import Place, QueuedClip, read_place
from vipann_tf.app.training_clips import TrainingClips
from vipann_tf.audio.errors import DecodeError
from vipann_tf.choices import Acquisition
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.recipes import TransferRecipe
from vipann_tf.saved_model.connection import Connection, connect

__all__ = ["Learner"]

_log = logging.getLogger(__name__)
# Two copies of one clip have nearly the same features (16 bits round each sample): their distance
# is below this share of the median distance of two clips.
_SAME = 0.02


class Learner:
    """Trains heads on old and new labels, one at a time, in a thread.

    Args:
      clips: The clips of the model's training, which have the old labels, and those held out from
        it, to score on.
      out: Directory for the new models, `learnt-1` and so on.
      recipe: How a head is trained.
      queue: Returns the clips of the queue.
      channel: What to hear of several channels.

    Attributes:
      clips: The argument.
      on_learnt: Called with a connection to the new model and the queue in its order.
    """

    def __init__(
        self,
        clips: TrainingClips,
        out: StrPath,
        recipe: TransferRecipe,
        queue: Callable[[], Sequence[QueuedClip]],
        *,
        channel: Any = "mix",
    ):
        self.clips, self._out = clips, os.fspath(out)
        self._recipe, self._queue, self._channel = recipe, queue, channel
        self._task = clips.task
        self._held_out_answers: NDArray[np.float32] | None = None  # after a training
        self._features_of: dict[Place, NDArray[np.float32]] = {}
        self._learners: dict[tuple[str, ...], HeadLearner] = {}
        self._lock = threading.Lock()
        self._rounds: list[Round] = []
        self._doing, self._error = "", ""
        self.on_learnt: Callable[[Connection, Sequence[QueuedClip]], None] | None = None

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        held = self.clips.held_out_count
        name = "accuracy" if self._task == "multiclass" else "mean average precision"
        where = ", ".join(self.clips.held_out)
        scored = (
            f"Scores are the {name} on the {held} clips of {where}, with 95 % intervals."
            if held
            else "No clips were held out from the training, so nothing can be scored."
        )
        doing, steps = self._doing, self.clips.steps
        if doing and steps is not None:
            doing = "Hearing the clips of the training: {} of {} …".format(*steps)
        return {
            "running": bool(doing),
            "doing": doing,
            "error": self._error,
            "metric": scored,
            "rounds": [dataclasses.asdict(x) for x in self._rounds],
        }

    def start(self, labels: Mapping[Place, tuple[str, ...]]) -> None:
        """Begin a training.

        Args:
          labels: What was heard in each clip; of a multiclass data set, clips without a label teach
            nothing and are left out.

        Raises:
          UserError: A training is running, or there is no new label.
        """
        taken = {place: x for place, x in labels.items() if x or self._task == "multilabel"}
        if not taken:
            raise UserError("no clip has a label yet; label some, and learn then")
        with self._lock:
            if self._doing:
                raise UserError("a training is running; wait for its end")
            self._doing, self._error = "Reading the clips …", ""
        threading.Thread(target=self._run, args=(taken,), daemon=True).start()

    def wait(self) -> None:
        """Wait for the end of the training."""
        while self._doing:
            time.sleep(0.05)

    def _run(self, labels: Mapping[Place, tuple[str, ...]]) -> None:
        try:
            self._learn(labels)
        except (UserError, DecodeError, OSError) as error:
            self._error = str(error)
        except Exception as error:  # a thread's own would be seen by nobody
            _log.exception("learning failed")
            self._error = f"{type(error).__name__}: {error}"
        finally:
            self._doing = ""

    def _learn(self, labels: Mapping[Place, tuple[str, ...]]) -> None:
        self.clips.prepare()
        kept, copies = self._without_held_out(labels)
        if not kept:
            raise UserError(f"all labelled clips are held-out ones ({copies}); nothing to learn")
        labels = kept
        new_names = [name for heard in labels.values() for name in heard]
        names = [*self.clips.labels, *sorted({*new_names} - {*self.clips.labels})]
        learner = self._learner(names)
        old = self.clips.known.of(self.clips.old_splits)
        features = [old.features, np.stack([self._feature(place) for place in labels])]
        truth = [_widened(old.labels, len(names)), _multi_hot(labels.values(), names)]
        held = self.clips.known.of(self.clips.held_out) if self.clips.held_out else None
        self._doing = "Training a new head …"
        found = learn(
            learner,
            np.concatenate(features),
            np.concatenate(truth),
            held_out=None if held is None else (held.features, _widened(held.labels, len(names))),
            before=self._before(len(names)),
            groups=None if held is None else held.groups,
        )
        if found.held_out is not None:
            self._held_out_answers = np.asarray(found.held_out.decomposition.probabilities)
        self._doing = "Writing the model …"
        name = f"learnt-{self._next_number()}"
        # The name stays, since it tells `evaluate` which splits trained the model.
        trained = self.clips.trained.model_copy(update={"clips": len(old) + len(labels)})
        path = write_model(
            learner, found.head, self.clips.trunk, os.path.join(self._out, name), trained
        )
        self._rounds.append(
            Round.of(name, len(labels), copies, found.scores, self._task, found.seconds)
        )
        self._doing = "Ranking the queue …"
        self._rank(learner, found.head, connect(path.parent))

    def _without_held_out(
        self, labels: Mapping[Place, tuple[str, ...]]
    ) -> tuple[dict[Place, tuple[str, ...]], int]:
        """Leave out clips with the features of a held-out clip, which would flatter the scores."""
        if not self.clips.held_out:
            return dict(labels), 0
        held = self.clips.known.of(self.clips.held_out).features
        found = np.stack([self._feature(place) for place in labels])
        apart = cdist(found, held)
        copied = apart.min(axis=1) < _SAME * np.median(apart)
        kept = {
            place: heard
            for (place, heard), is_copy in zip(labels.items(), copied, strict=True)
            if not is_copy
        }
        return kept, len(labels) - len(kept)

    def _rank(self, learner: HeadLearner, head: Any, connection: Connection) -> None:
        """Put the queue in the order of the new head."""
        queue, readable = list(self._queue()), []
        for clip in queue:
            try:
                self._feature(clip.place, clip)
            except DecodeError:
                continue  # it stays behind the others, and says why when it is its turn
            readable.append(clip)
        if readable:
            answers = learner.answer(
                head, np.stack([self._features_of[clip.place] for clip in readable])
            )
            acquisition: Acquisition = (
                "epistemic-diversity" if answers.num_networks > 1 else "total"
            )
            order = choose(acquisition, answers, len(readable)).tolist()
            ranked = [readable[i] for i in order]
            queue = [*ranked, *(clip for clip in queue if clip not in ranked)]
        if self.on_learnt is not None:
            self.on_learnt(connection, queue)

    def _learner(self, names: Sequence[str]) -> HeadLearner:
        """Return the learner of a list of labels; its first training compiles."""
        key = tuple(names)
        if key not in self._learners:
            self._learners[key] = HeadLearner(
                self._recipe, self.clips.trunk.architecture, names, self._task
            )
        return self._learners[key]

    def _feature(self, place: Place, clip: QueuedClip | None = None) -> NDArray[np.float32]:
        if place not in self._features_of:
            waveform = (
                read_place(place, self.clips.trunk.info, channel=self._channel, folder=self._out)
                if clip is None
                else clip.read()
            )
            self._features_of[place] = self.clips.trunk.features(waveform[np.newaxis])[0]
        return self._features_of[place]

    def _before(self, labels: int) -> NDArray[np.float32] | None:
        """Return the last answers to the held-out clips, [clips, labels]."""
        answers = self._held_out_answers
        answers = self.clips.held_out_answers if answers is None else answers
        return None if answers is None else _widened(answers, labels)

    def _next_number(self) -> int:
        number = 1
        while os.path.exists(os.path.join(self._out, f"learnt-{number}")):
            number += 1
        return number


def _widened(rows: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Add labels that no row has."""
    return np.pad(rows, [(0, 0), (0, width - rows.shape[1])]).astype(np.float32)


def _multi_hot(sets: Any, names: Sequence[str]) -> NDArray[np.float32]:
    rows = [[float(name in heard) for name in names] for heard in sets]
    return np.array(rows, np.float32)

"""What the page can ask for, without anything of the web."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from vipann_tf.app.hearing import decode, heard
from vipann_tf.app.labelling import Labelling
from vipann_tf.app.later import Later
from vipann_tf.app.learning import Learner
from vipann_tf.app.neighbours import Neighbours
from vipann_tf.audio.errors import DecodeError
from vipann_tf.datasets.label_journal import VERDICTS
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.saved_model.connection import Connection

__all__ = ["Session"]

# Answers of the model that are kept, since people go back.
_KEPT = 64


class Session:
    """A model, a queue of clips to label, and what can be learnt from the answers.

    Safe for threads: the model answers one request at a time.

    Args:
      connection: The model.
      name: What the page calls it.
      labelling: The queue; `None` if there is nothing to label.
      neighbours: The training clips to compare with, if they are known. They are heard when a
        sound is first compared with them, or while `preparing`.
      learner: Trains a head on what was labelled, if it can.
      note: What the page says of what it can't do.
      notices: What is to be known of the queue.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        *,
        labelling: Labelling | None = None,
        neighbours: Later[Neighbours] | None = None,
        learner: Learner | None = None,
        note: str = "",
        notices: Sequence[Notice] = (),
    ):
        self.name, self.note, self.notices, self._connection = name, note, notices, connection
        self.labelling, self._neighbours, self.learner = labelling, neighbours, learner
        self._model_lock = threading.Lock()
        self._is_preparing = False
        self._heard: collections.OrderedDict[int, dict[str, Any]] = collections.OrderedDict()
        if learner is not None:
            learner.on_learnt = self._relearnt

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Hear the clips of the training in a thread, until the end of the context.

        Who labels does not wait for them. What could not be done is done, and its error told, when
        it is needed.
        """
        neighbours, clips = self._neighbours, None if self.learner is None else self.learner.clips

        def work() -> None:
            with contextlib.suppress(Exception):
                if neighbours is not None:
                    neighbours.get()
                if clips is not None:
                    clips.prepare()

        thread = threading.Thread(target=work, daemon=True)
        self._is_preparing = True
        thread.start()
        try:
            yield
        finally:
            # TensorFlow may abort if the process ends while a thread computes.
            if neighbours is not None:
                neighbours.stop()
            if clips is not None:
                clips.stop()
            thread.join()
            self._is_preparing = False

    @property
    def multilabel(self) -> bool:
        """Whether a clip may have several labels."""
        return self._connection.info.architecture.task == "multilabel"

    def state(self, who: str) -> dict[str, Any]:
        """Return what the page shows around the clips."""
        given = [] if self.labelling is None else self.labelling.labels()
        return {
            "labels": sorted({*self._connection.labels, *given}),
            "progress": None if self.labelling is None else self.labelling.progress(who),
            "learning": None if self.learner is None else self.learner.state(),
        }

    def next_clip(self, who: str, again: bool) -> dict[str, Any]:
        """Return the clip that a person should hear next, or none."""
        labelling = self._labelling(who)
        number = labelling.next_clip(who, again=again)
        return {"clip": None} if number is None else self.clip(number, who)

    def clip(self, number: int, who: str) -> dict[str, Any]:
        """Return a clip and what the model says of it."""
        labelling = self._labelling(who)
        clip, mine = labelling.clip(number), labelling.given(number, who)
        found = self._hear(number)
        return {
            "clip": number,
            "name": clip.name,
            "filename": clip.filename,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "time": None if clip.time is None else clip.time.isoformat(sep=" ", timespec="seconds"),
            "mine": None if mine is None else {"verdict": mine.verdict, "labels": mine.labels},
            **found,
        }

    def answer(self, number: int, who: str, verdict: str, labels: Sequence[str]) -> dict[str, Any]:
        """Keep an answer."""
        labelling = self._labelling(who)
        for known in VERDICTS:
            if verdict == known:
                break
        else:
            raise UserError(f"verdict is {verdict!r}; use one of {', '.join(VERDICTS)}")
        if len(labels) > 1 and not self.multilabel:
            raise UserError(
                f"labels are {list(labels)}; a clip of this model has one label (multiclass)"
            )
        first: dict[str, Any] = next(iter(self._hear(number)["labels"]), {})
        guess = first.get("label", ""), first.get("probability", float("nan"))
        labelling.answer(number, who, known, labels, guess)
        return self.state(who)

    def listen(self, content: bytes) -> dict[str, Any]:
        """Return what the model says of an audio file."""
        waveform, notices = decode(content, self._connection)
        with self._model_lock:
            found = heard(waveform, self._connection)
        near: list[dict[str, Any]] = []
        if self._neighbours is not None:
            if self._is_preparing and not self._neighbours.is_ready:
                done, total = self._neighbours.steps or (0, 0)
                notices.append(
                    f"the clips of the training are still heard ({done} of {total}); for the most "
                    "similar ones, give the sound again later"
                )
            else:
                near = self._neighbours.get().of(waveform)
        return {**found, "notices": notices, "neighbours": near}

    def learn(self) -> dict[str, Any]:
        """Begin to train on what was labelled, in a thread of its own."""
        if self.learner is None or self.labelling is None:
            raise UserError(
                "there is nothing to learn from; start `vipann-tf app` with --data, the data set "
                "of the model's training"
            )
        self.learner.start(self.labelling.settled_labels())
        return self.learner.state()

    def _labelling(self, who: str) -> Labelling:
        if self.labelling is None:
            raise UserError("there is no queue; start `vipann-tf app` with --scan or --data")
        if not who:
            raise UserError("say who you are; the journal holds who gave each answer")
        return self.labelling

    def _hear(self, number: int) -> dict[str, Any]:
        """Return what the model says of a queued clip, which it may have said before."""
        assert self.labelling is not None
        clip = self.labelling.clip(number)
        with self._model_lock:
            if number not in self._heard:
                try:
                    self._heard[number] = heard(clip.read(), self._connection)
                except (DecodeError, UserError) as error:  # the others can still be heard
                    self._heard[number] = {"labels": [], "error": str(error)}
                if len(self._heard) > _KEPT:
                    self._heard.popitem(last=False)
            self._heard.move_to_end(number)
            return self._heard[number]

    def _relearnt(self, connection: Connection, clips: Sequence[Any]) -> None:
        """Take the new model, and the queue in its order."""
        assert self.labelling is not None
        with self._model_lock:
            self._connection = connection
            self._heard.clear()
        self.labelling.queue(clips)

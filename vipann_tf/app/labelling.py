"""Who is to hear which clip next, and what was answered; the state of the page."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Sequence
from typing import Any

from vipann_tf.app.queue import Place, QueuedClip
from vipann_tf.datasets.label_agreement import agreement
from vipann_tf.datasets.label_journal import Answer, LabelJournal, Verdict
from vipann_tf.errors import UserError

__all__ = ["Labelling"]

# So long a clip that one person hears is not given to another.
HELD_S = 300.0


class Labelling:
    """The labelling of a queue by any number of people. Safe for threads.

    What was answered is what the journal has, to which other servers may add.

    Args:
      clips: The queue.
      journal: Where answers are kept; those that it has already count.
      model: Name of the model, for the journal.
    """

    def __init__(self, clips: Sequence[QueuedClip], journal: LabelJournal, model: str):
        self._journal, self._model = journal, model
        self._lock = threading.Lock()
        self._clips: list[QueuedClip] = []
        self._numbers: dict[Place, int] = {}
        # Clip -> person -> the last answer; also of clips that are not in the queue.
        self._given: dict[Place, dict[str, Answer]] = {}
        self._held: dict[int, tuple[str, float]] = {}
        self._order: list[int] = []
        self._read_to = 0
        self.queue(clips)
        with self._lock:
            self._refresh()

    def queue(self, clips: Sequence[QueuedClip]) -> None:
        """Put the clips in a new order; those that were in the queue before keep their numbers."""
        with self._lock:
            self._order = []
            for clip in clips:
                number = self._numbers.setdefault(clip.place, len(self._clips))
                if number == len(self._clips):
                    self._clips.append(clip)
                self._order.append(number)

    @property
    def clips(self) -> list[QueuedClip]:
        """All clips by their numbers."""
        return list(self._clips)

    def clip(self, number: int) -> QueuedClip:
        """Return a clip.

        Raises:
          UserError: There is none of that number.
        """
        if not 0 <= number < len(self._clips):
            raise UserError(f"clip is {number}; the queue has 0 to {len(self._clips) - 1}")
        return self._clips[number]

    def next_clip(self, who: str, *, again: bool = False) -> int | None:
        """Return the number of the clip that a person should hear next, and hold it for them.

        Args:
          who: The person.
          again: Whether to give clips that others have answered first, so that agreement can be
            measured.

        Returns:
          `None` if nothing is left.
        """
        now = time.monotonic()
        with self._lock:
            self._refresh()
            people = {number: self._people(number) for number in self._order}
            free = [
                number
                for number in self._order
                if who not in people[number] and not self._is_held(number, who, now)
            ]
            by_others = [number for number in free if people[number]]
            new = [number for number in free if not people[number]]
            found = next(iter((by_others if again else []) + new), None)
            if found is not None:
                self._held[found] = who, now
            return found

    def answer(
        self,
        number: int,
        who: str,
        verdict: Verdict,
        labels: Sequence[str],
        guess: tuple[str, float],
    ) -> None:
        """Write an answer; when this returns, it is kept.

        Args:
          number: The clip.
          who: The person.
          verdict: Kind of the answer.
          labels: What was heard.
          guess: The model's most probable label and its probability.

        Raises:
          UserError: The answer is not allowed.
          OSError: It can't be written.
        """
        clip = self.clip(number)
        now = datetime.datetime.now(datetime.timezone.utc)
        answer = Answer(
            *clip.place,
            verdict=verdict,
            labels=tuple(dict.fromkeys(label.strip() for label in labels)),
            who=who.strip(),
            when=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            model=self._model,
            guess=guess[0],
            probability=guess[1],
        )
        clip.keep()
        self._journal.add(answer)
        with self._lock:
            self._refresh()
            self._held.pop(number, None)

    def given(self, number: int, who: str) -> Answer | None:
        """Return what a person last answered, unless it was withdrawn."""
        with self._lock:
            self._refresh()
            return self._people(number).get(who)

    def settled_labels(self) -> dict[Place, tuple[str, ...]]:
        """Return the labels of each clip on which all who could tell agree; they may be none."""
        found = {}
        with self._lock:
            self._refresh()
            for place, people in self._given.items():
                sure = {tuple(sorted(x.labels)) for x in people.values() if x.verdict != "unsure"}
                if len(sure) == 1:
                    found[place] = sure.pop()
        return found

    def progress(self, who: str) -> dict[str, Any]:
        """Return how far the work is, for the page."""
        with self._lock:
            self._refresh()
            queued = [dict(self._people(number)) for number in self._order]
            everyone = [x for people in self._given.values() for x in people.values()]
        return {
            "clips": len(queued),
            "answered": sum(map(bool, queued)),
            "mine": sum(who in people for people in queued),
            "agreement": [
                {
                    "people": [pair.first, pair.second],
                    "clips": pair.clips,
                    "same": pair.same,
                    "kappa": pair.kappa,
                }
                for pair in agreement(everyone)
            ],
        }

    def labels(self) -> list[str]:
        """Return all labels that were given, in the order of their first use."""
        with self._lock:
            self._refresh()
            answers = [x for people in self._given.values() for x in people.values()]
        return list(dict.fromkeys(label for answer in answers for label in answer.labels))

    def _refresh(self) -> None:
        """Take what was added to the journal, here or elsewhere; the caller has the lock."""
        news = self._journal.news(self._read_to)
        self._read_to = news.end
        if news.is_all:
            self._given.clear()
        for answer in news.answers:
            self._take(answer)

    def _take(self, answer: Answer) -> None:
        people = self._given.setdefault((answer.filename, answer.start_s, answer.end_s), {})
        people.pop(answer.who, None)
        if answer.verdict != "withdrawn":
            people[answer.who] = answer

    def _people(self, number: int) -> dict[str, Answer]:
        return self._given.get(self._clips[number].place, {})

    def _is_held(self, number: int, who: str, now: float) -> bool:
        holder, since = self._held.get(number, (who, 0.0))
        return holder != who and now - since < HELD_S

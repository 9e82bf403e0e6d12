"""The answers for the windows of a unit: the work of one process, here or on a cluster."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.saved_model.connection import Connection, connect
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.server import RequestRefused
from vipann_tf.scans.plan import Settings, Unit
from vipann_tf.scans.prefetch import prefetched
from vipann_tf.scans.store import MEASURES, Begin, Rows, write_unit
from vipann_tf.scans.windows import piece_windows

__all__ = ["ScanJob"]

# Windows of one length in a request; they share its draws.
BATCH = 16
# Requests at once: while one is packed or sent, the network computes another.
AT_ONCE = 2
# Batches that are decoded while the network computes.
AHEAD = 2


@dataclasses.dataclass(frozen=True)
class ScanJob:
    """What a worker needs to do any unit of a scan.

    Attributes:
      model: Model directory.
      out: Directory of the scan.
      settings: What determines the answers.
      keep: Indices of the labels to keep.
      begins: When each recording began.
      units: Name -> unit, those that are not finished.
      thresholds: Least probability of a detection of each label that is kept, for the progress.
      server: Address of a TensorFlow Serving to ask instead of loading the model.
      deadline_s: Longest time for a request to it.
      threads: Threads of the network in each process; `None` for all cores.
      trust: Whether the model may do more than compute.
    """

    model: str
    out: str
    settings: Settings
    keep: tuple[int, ...]
    begins: Mapping[str, Begin]
    units: Mapping[str, Unit]
    thresholds: NDArray[np.floating[Any]]
    server: str | None = None
    deadline_s: float = 60.0
    threads: int | None = None
    trust: bool = False

    @property
    def names(self) -> Sequence[str]:
        """Names of the units."""
        return list(self.units)

    @property
    def counted(self) -> str:
        """Windows in which a label reaches its threshold."""
        return "detected"

    def run(self, name: str, on_step: Callable[[str], None]) -> None:
        """Answer the windows of a unit, and write them.

        Args:
          name: Its name.
          on_step: Called after each window: "detected" if a label reaches its threshold, else
            "ok", or "lost" if it could not be read.
        """
        _share_cores(self.threads)
        connection = _connection(
            *(self.model, self.settings.num_draws, self.settings.seed),
            *(self.server, self.deadline_s, self.trust, self.settings.model),
        )
        unit = self.units[name]
        began = time.monotonic()
        scanned = _UnitScan(self, connection, unit, on_step)
        rows, pieces = scanned.run()
        found = {
            "pieces": [dataclasses.asdict(piece) for piece in pieces],
            "windows": len(rows),
            "seconds": time.monotonic() - began,
        }
        write_unit(self.out, name, rows.table(), found)


@dataclasses.dataclass
class PieceOutcome:
    """What became of a piece.

    Attributes:
      recording: Path of the recording.
      start_s: Start of the first window that was answered.
      windows: Number of windows that were answered.
      end_s: End of the last of them, in seconds.
      error: Why there are no more; empty if all were answered.
      findings: Kind and detail of what is to be known.
    """

    recording: str
    start_s: float = math.inf
    windows: int = 0
    end_s: float = 0.0
    error: str = ""
    findings: list[tuple[str, str]] = dataclasses.field(default_factory=list)


class _Window(NamedTuple):
    """A window to be answered: number of its piece in the unit, start, and float32 [samples]."""

    piece: int
    start_s: float
    waveform: NDArray[np.float32]


class _Answered(NamedTuple):
    """Windows and their answers, in one order."""

    windows: list[_Window]
    answers: Mapping[str, NDArray[Any]]
    embeddings: NDArray[np.float32] | None


class _UnitScan:
    """The scan of one unit."""

    def __init__(
        self, job: ScanJob, connection: Connection, unit: Unit, on_step: Callable[[str], None]
    ):
        self._job, self._connection, self._unit, self._on_step = job, connection, unit, on_step
        recordings = [piece.recording for piece in unit.pieces]
        begins = [job.begins[recording.path] for recording in recordings]
        self._rows = Rows([x.name for x in recordings], begins, job.settings.labels)
        self._outcomes = [PieceOutcome(x.path) for x in recordings]

    def run(self) -> tuple[Rows, list[PieceOutcome]]:
        """Answer all windows."""
        asked: collections.deque[concurrent.futures.Future[_Answered]] = collections.deque()
        pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        try:
            # Closed here, since an interrupt must not leave its thread behind.
            with contextlib.closing(prefetched(self._batches(), AHEAD)) as batches:
                for windows in batches:
                    if len(asked) == AT_ONCE:
                        self._keep(asked.popleft().result())
                    asked.append(pool.submit(self._ask, windows))
            for answered in asked:
                self._keep(answered.result())
        finally:
            # After an interrupt nobody waits for answers, which may take minutes.
            pool.shutdown(wait=False, cancel_futures=True)
        for piece, outcome in zip(self._unit.pieces, self._outcomes, strict=True):
            for _ in range(piece.last - piece.first - outcome.windows):
                self._on_step("lost")
        return self._rows, self._outcomes

    def _batches(self) -> Iterator[list[_Window]]:
        """Yield windows of one length, `BATCH` or fewer, that share a request and its draws."""
        waiting: dict[int, list[_Window]] = {}
        for window in self._windows():
            alike = waiting.setdefault(len(window.waveform), [])
            alike.append(window)
            if len(alike) == BATCH:
                yield waiting.pop(len(window.waveform))
        yield from waiting.values()

    def _windows(self) -> Iterator[_Window]:
        """Yield all windows that can be read."""
        settings = self._job.settings
        for number, piece in enumerate(self._unit.pieces):
            outcome = self._outcomes[number]
            hearing = Hearing(self._connection.info, channel=settings.channel)
            try:
                for start_s, waveform in piece_windows(
                    hearing.decoder, piece, settings.window_s, settings.hop_s
                ):
                    hearing.note_padding(waveform)
                    yield _Window(number, start_s, waveform)
            except DecodeError as error:
                outcome.error = str(error)
            outcome.findings = hearing.findings

    def _ask(self, windows: list[_Window]) -> _Answered:
        settings = self._job.settings
        batch = np.stack([window.waveform for window in windows])
        try:
            answers = self._connection.ask(batch, each_draw=settings.draws)
            embeddings = self._connection.embed(batch) if settings.embeddings else None
        except RequestRefused as error:
            raise UserError(f"the windows of {self._unit.name} were refused: {error}") from error
        return _Answered(windows, answers, embeddings)

    def _keep(self, answered: _Answered) -> None:
        """Take the answers into the rows."""
        settings, keep, answers = self._job.settings, list(self._job.keep), answered.answers
        info = self._connection.info
        names = ("probabilities", "label_aleatoric", "label_epistemic")
        assert len(names) == len(MEASURES)
        for row, window in enumerate(answered.windows):
            end_s = window.start_s + len(window.waveform) / (
                info.sample_rate_hz * info.time_expansion
            )
            self._rows.add(
                (window.piece, window.start_s, end_s),
                np.array([answers[x][row] for x in ("total", "aleatoric", "epistemic")]),
                np.stack([answers[x][row][keep] for x in names]),
                None if answered.embeddings is None else answered.embeddings[row],
                answers["sample_probabilities"][row][:, keep] if settings.draws else None,
            )
            outcome = self._outcomes[window.piece]
            outcome.windows += 1
            outcome.start_s = min(outcome.start_s, window.start_s)
            outcome.end_s = max(outcome.end_s, end_s)
            detected = np.any(answers["probabilities"][row][keep] >= self._job.thresholds)
            self._on_step("detected" if detected else "ok")


@functools.lru_cache(maxsize=1)
def _connection(
    model: str,
    num_draws: int,
    seed: int,
    server: str | None,
    deadline_s: float,
    trust: bool,
    fingerprint: str,
) -> Connection:
    """Connect once per process, and again if the model's files have changed."""
    return connect(
        model,
        num_draws=num_draws,
        seed=seed,
        server=server,
        deadline_s=deadline_s,
        trust=trust,
    )


def _share_cores(threads: int | None) -> None:
    """Let TensorFlow use so many threads; by itself it takes all cores in every process."""
    if threads is None:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # the process has used TensorFlow before
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)

"""The picture of one recording: of a finished scan, or of a model that hears it now."""

import os
from collections.abc import Callable

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import duration_s
from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import warn_of
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.thresholds import Threshold, label_thresholds, threshold_notices
from vipann_tf.saved_model.timeline import Listener
from vipann_tf.scans.ranking import is_scan
from vipann_tf.scans.timeline import heard_by, write_timeline
from vipann_tf.timelines.file import TimelineFile, check_place

__all__ = ["timeline"]


def timeline(
    model: StrPath,
    recording: StrPath,
    out: StrPath,
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
    threshold: Threshold | None = None,
    num_draws: int | None = None,
    seed: int | None = None,
    channel: Channel | None = None,
    trust: bool = False,
    server: str | None = None,
    deadline_s: float = 60.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Draw what was heard in one recording: a page that plays the sound, or a picture.

    As `vipann-tf timeline SCAN RECORDING`, or `vipann-tf predict MODEL RECORDING --window --plot`.

    Args:
      model: A directory of `scan`, or a model directory.
      recording: Audio file; of a scan, its path or the end of it.
      out: File to write, which ends in .html or .png.
      window_s: Model: length of a window, in seconds, which must be given.
      hop_s: Model: step between windows; by default a quarter of a window.
      threshold: Model: least probability of a detection, by default 0.5, or `calibrated`.
      num_draws: Model: number of draws; by default that of the export.
      seed: Model: seed of the draws; by default that of the export.
      channel: Model: what to hear of several channels; by default their mean.
      trust: Model: whether its graph may do more than compute.
      server: Model: `HOST:PORT` of a TensorFlow Serving to ask instead of loading it.
      deadline_s: Model: longest time for a request to the server, in seconds.
      on_progress: Model: called with the number of answered windows and the approximate total.

    Returns:
      Number of detections.

    Raises:
      UserError: An argument is wrong or belongs to the other kind, or the recording can't be read.
        What was heard before damage is drawn.
    """
    if is_scan(model):
        heard_otherwise = {
            "window_s": window_s,
            "hop_s": hop_s,
            "threshold": threshold,
            "num_draws": num_draws,
            "seed": seed,
            "channel": channel,
            "server": server,
        }
        for name, given in heard_otherwise.items():
            if given is not None:
                raise UserError(f"{model} is a scan, which was heard already; leave {name} out")
        return write_timeline(model, recording, out)
    if window_s is None:
        raise UserError("window_s is None; give the length of a window in seconds, such as 10")
    check_place(out, "out")  # before hours of listening
    connection = connect(
        model, num_draws=num_draws, seed=seed, server=server, deadline_s=deadline_s, trust=trust
    )
    listener = Listener(
        connection,
        window_s=window_s,
        hop_s=window_s / 4 if hop_s is None else hop_s,
        channel=channel or "mix",
    )
    threshold = 0.5 if threshold is None else threshold
    thresholds = label_thresholds(connection.info, threshold, model)
    slow = listener.time_expansion
    told = threshold_notices(
        connection.info, threshold, connection.labels, model, window_s=window_s * slow
    )
    path, fault, windows = os.fspath(recording), None, 0
    try:
        heard, said = heard_by(listener, connection.labels, path, duration_s(path), thresholds)
        drawn = TimelineFile(out, heard)
        try:
            for window in listener.listen(path, on_progress):
                drawn.add(window)
                windows += 1
        except DecodeError as error:
            if not windows:
                raise
            fault = error
        count = drawn.write(path)
    except DecodeError as error:
        raise UserError(f"{path}: {error}") from error
    warn_of([*told, *said, *listener.notices(path)])
    if fault is not None:
        raise UserError(f"{path}: {fault}; what was heard before is in {out}") from fault
    return count

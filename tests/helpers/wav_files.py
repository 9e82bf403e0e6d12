"""Audio files in memory."""

import io

import soundfile

from vipann_tf.saved_model.resampling import TO_HZ


def wav_bytes(waveform, rate=TO_HZ, *, subtype="PCM_16", kind="WAV") -> bytes:
    """The bytes of a file: a WAV, unless `kind` says otherwise."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, subtype=subtype, format=kind)
    return file.getvalue()

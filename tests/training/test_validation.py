"""Validation while training: what it computes once, and damaged records."""

import shutil

import pytest

from tests.helpers import networks
from tests.helpers.tiny_training import pretrain_recipe
from vipann_tf.errors import UserError
from vipann_tf.models.compiled_network import CompiledNetwork
from vipann_tf.recipes import Validation as Settings
from vipann_tf.records.tfrecord_file import scan
from vipann_tf.training import validation
from vipann_tf.training.pretrain import pretrain


@pytest.mark.parametrize("draws", [1, 5])
def test_clips_are_read_and_their_features_computed_once(events, draws, monkeypatch):
    read, until = [], CompiledNetwork.until

    def counted(self, stop, waveform):
        read.append((stop, len(waveform)))
        return until(self, stop, waveform)

    monkeypatch.setattr(CompiledNetwork, "until", counted)
    settings = Settings(splits=["fold3", "fold4"], num_draws=draws)
    scoring = validation.Validation(settings, events, ["fold1"], [], steps_per_epoch=1, seed=0)
    changes = {"task": "multiclass", "labels": 10, "width": 1 / 64}
    scoring.start(networks.network("det-flip", changes))
    scores = scoring.score(1)
    assert {"accuracy", "nll"} <= set(scores)
    assert read == [("shared", 8)]  # four clips of each fold


@pytest.mark.usefixtures("eager")
def test_damaged_records_are_treated_as_the_recipe_says(events, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(events, data)
    shard = next(data.glob("fold3-*"))
    with open(shard, "rb") as file:
        places = [offset for offset, _ in scan(file)]
    content = bytearray(shard.read_bytes())
    content[places[0] + 40] ^= 1
    shard.write_bytes(content)
    settings = ("data.train=[fold1]", "validation.splits=[fold3]")
    stop, skip = (
        pretrain_recipe("deterministic", *settings, f"data.on_corrupt={way}")
        for way in ("stop", "skip")
    )
    with pytest.raises(UserError, match=rf"{shard.name}: the record at byte {places[0]} is damag"):
        pretrain(stop, data, tmp_path / "stopped")
    assert pretrain(skip, data, tmp_path / "skipped").is_dir()

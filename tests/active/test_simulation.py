"""Active learning replayed: what is labelled, and that a file of features keeps them."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.tiny_training import transfer_recipe
from vipann_tf.active.clips import Clips
from vipann_tf.active.learner import HeadLearner
from vipann_tf.active.simulation import simulate
from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import read_dataset_info


@pytest.fixture
def learner(trunk, events):
    dataset = read_dataset_info(events)
    recipe = transfer_recipe("det-flip", "fixed", "training.steps=1")
    return HeadLearner(recipe, trunk.architecture, dataset.labels, dataset.task)


@pytest.mark.usefixtures("eager")
def test_rounds(learner, clips):
    pool, held_out = clips.of(["fold1", "fold2", "fold3"]), clips.of(["fold4", "fold5"])
    settings = {"start_per_label": 1, "rounds": 3, "per_round": 4}
    done = []
    found = {
        name: simulate(
            learner, pool, held_out, name, **settings, seed=(5, 1),
            on_round=lambda *now: done.append(now),
        )
        for name in ("random", "epistemic")
    }  # fmt: skip
    assert done == [(n, 4) for n in (1, 2, 3, 4)] * 2
    for rounds in found.values():
        assert [x.labels for x in rounds] == [10, 14, 18, 22]
        named = [name for x in rounds for name in x.chosen]
        assert len(set(named)) == 22 and set(named) <= set(pool.ids.tolist())
        assert all(x.scores["clips"] == 20 for x in rounds)
    # They start from the same clips and the same head.
    assert found["random"][0] == found["epistemic"][0]
    assert found["random"][1].chosen != found["epistemic"][1].chosen
    again = simulate(learner, pool, held_out, "random", **settings, seed=(5, 1))
    assert again == found["random"]


def test_a_pool_that_is_too_small(learner, clips):
    with pytest.raises(UserError, match="20 first clips and 4 rounds of 8 need 52 clips, but the"):
        simulate(learner, clips, clips, "random", rounds=4, per_round=8)


def test_features_are_those_of_the_trunk(trunk, clips, events):
    network = trunk.network
    assert isinstance(network, VIPANN)
    batch = next(iter(evaluation_batches(events, ["fold2"], 3)))
    expected = network.run(batch["waveform"], stop="pooled")
    of_fold = clips.of(["fold2"])
    np.testing.assert_allclose(of_fold.features[:3], expected, atol=1e-5)
    np.testing.assert_array_equal(of_fold.labels[:3], batch["labels"])
    assert [name.decode() for name in batch["clip_id"].numpy()] == of_fold.ids[:3].tolist()
    assert len(clips) == 50 and set(clips.splits) == {f"fold{n}" for n in range(1, 6)}


def test_a_file_of_features(clips, tmp_path):
    clips.save(tmp_path / "a" / "features.npz")
    found = Clips.load(tmp_path / "a" / "features.npz")
    for name, value in vars(clips).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["features.npz"]
    assert found.groups is None  # as in files of earlier versions
    sites = np.array(["pond", "hill"] * (len(clips) // 2))
    dataclasses.replace(clips, groups=sites).save(tmp_path / "sites.npz")
    some = Clips.load(tmp_path / "sites.npz").of(["fold2"])
    np.testing.assert_array_equal(some.groups, sites[clips.splits == "fold2"])


def test_what_is_no_file_of_features(tmp_path):
    with pytest.raises(UserError, match=r"features.npz holds no features of clips \("):
        Clips.load(tmp_path / "features.npz")
    (tmp_path / "features.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="delete it, and it is made again"):
        Clips.load(tmp_path / "features.npz")

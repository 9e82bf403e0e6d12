"""A share of the clips: label by label, nested, by the seed and the ids alone."""

import functools
import operator

import numpy as np
import pytest

from tests.helpers import small_data
from vipann_tf.errors import UserError
from vipann_tf.records.pipeline import evaluation_batches, training_batches
from vipann_tf.records.subset import choose, choose_clips

# 40 clips of label 0, 25 of label 1, 3 of label 2.
CLIPS = [(b"%d" % i, (0 if i < 40 else 1 if i < 65 else 2,)) for i in range(68)]


def per_label(chosen):
    labels = dict(CLIPS)
    return np.bincount([labels[clip_id][0] for clip_id in chosen], minlength=3).tolist()


@pytest.mark.parametrize(
    ("fraction", "wanted"),
    [(0.1, [4, 3, 1]), (0.25, [10, 6, 1]), (0.5, [20, 13, 2]), (1, [40, 25, 3])],
)
def test_every_label_has_its_share(fraction, wanted):
    """Rounded, halves up, and at least one."""
    assert per_label(choose_clips(CLIPS, fraction, 0)) == wanted


def test_smaller_shares_are_part_of_larger_ones():
    shares = [set(choose_clips(CLIPS, fraction, 3)) for fraction in (0.1, 0.25, 0.5, 1.0)]
    assert shares[0] < shares[1] < shares[2] < shares[3]


def test_the_seed_chooses_and_the_order_does_not():
    chosen = choose_clips(CLIPS, 0.5, 0)
    assert chosen == choose_clips(CLIPS[::-1], 0.5, 0)
    assert chosen != choose_clips(CLIPS, 0.5, 1)


def test_every_clip_is_as_likely():
    """Over 400 seeds, each of 40 clips is chosen a quarter of the time: 4.5 standard errors."""
    counts = dict.fromkeys([clip_id for clip_id, _ in CLIPS[:40]], 0)
    for seed in range(400):
        for clip_id in choose_clips(CLIPS[:40], 0.25, seed):
            counts[clip_id] += 1
    error = np.sqrt(0.25 * 0.75 / 400)
    assert max(abs(count / 400 - 0.25) for count in counts.values()) < 4.5 * error


def test_a_clip_belongs_to_its_rarest_label():
    """Label 1 is on every clip, label 0 on two, and two clips have none."""
    clips = [(b"%d" % i, (1,)) for i in range(8)] + [(b"a", (0, 1)), (b"b", (0, 1))]
    clips += [(b"x", ()), (b"y", ())]
    chosen = choose_clips(clips, 0.5, 0)
    assert len([x for x in chosen if x.isdigit()]) == 4
    assert len({b"a", b"b"} & set(chosen)) == 1 and len({b"x", b"y"} & set(chosen)) == 1


def test_batches_of_a_share(tmp_path):
    """Each epoch holds the chosen clips once, whatever the caching, and goes on at a position."""
    small_data.write(tmp_path / "set", {"train": 23, "eval": 7})
    chosen = choose(tmp_path / "set", ["train"], 0.5, 1)
    # Ids 0, 4, ... have label a (6), 1, 5, ... b and c (6), 2, 6, ... none (6), 3, 7, ... c (5).
    assert np.bincount([int(x) % 4 for x in chosen]).tolist() == [3, 3, 3, 3]

    def take(batches, **options):
        stream = training_batches(
            tmp_path / "set", ["train"], batch_size=4, seed=1, only=chosen, **options
        )
        return [
            (batch["epoch"][0].numpy(), batch["clip_id"].numpy().tolist())
            for batch in stream.take(batches)
        ]

    batches = take(6)
    assert [epoch for epoch, _ in batches] == [0, 0, 0, 1, 1, 1]
    for epoch in (0, 1):
        assert (
            sorted(functools.reduce(operator.iadd, (ids for e, ids in batches if e == epoch), []))
            == chosen
        )
    assert batches[0][1] + batches[1][1] != batches[3][1] + batches[4][1]
    assert take(6, cache=False) == batches
    assert take(3, position=(0, 8)) == batches[2:5]


def test_unknown_split(tmp_path):
    small_data.write(tmp_path / "set", {"train": 4})
    with pytest.raises(UserError, match="split 'tarin' is unknown"):
        choose(tmp_path / "set", ["tarin"], 0.5, 0)


def test_evaluation_batches_of_the_chosen_alone(tmp_path):
    small_data.write(tmp_path / "set", {"train": 30, "eval": 5})
    chosen = [b"3", b"7", b"29"]
    batches = evaluation_batches(tmp_path / "set", ["train"], 2, only=chosen)
    found = [name for batch in batches for name in batch["clip_id"].numpy()]
    assert sorted(found) == sorted(chosen)

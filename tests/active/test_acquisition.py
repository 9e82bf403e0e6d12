"""Acquisition functions against orders by hand, and by the definition of each."""

import numpy as np
import pytest

from vipann_tf.active.acquisition import ACQUISITIONS, choose, margin
from vipann_tf.active.answers import Answers
from vipann_tf.active.simulation import first_clips
from vipann_tf.errors import UserError
from vipann_tf.uncertainty.decomposition import Decomposition, decompose

# Two draws of five clips with three labels. By hand:
# clip 0 is certain; 1: both draws say 1/3 each; 2: the draws are certain of opposite labels;
# 3: both say 0.5, 0.5, 0; 4: as 2, a little less.
DRAWS = np.array(
    [
        [[1, 0, 0], [1 / 3] * 3, [1, 0, 0], [0.5, 0.5, 0], [0.9, 0.1, 0]],
        [[1, 0, 0], [1 / 3] * 3, [0, 1, 0], [0.5, 0.5, 0], [0.1, 0.9, 0]],
    ]
)
EMBEDDINGS = np.array([[1, 0], [0, 1], [1, 1], [1, -1], [1, 1.01]], np.float32)


def answers(draws=DRAWS, embeddings=EMBEDDINGS, task="multiclass") -> Answers:
    found = Decomposition(*(value.numpy() for value in decompose(draws, task)))
    return Answers(found, embeddings, task, len(draws))


@pytest.mark.parametrize(
    ("acquisition", "order"),
    [
        # Entropies ln 3, then ln 2 three times (in the order of the clips), then 0.
        ("total", [1, 2, 3, 4, 0]),
        ("aleatoric", [1, 3, 4, 0, 2]),
        ("epistemic", [2, 4, 0, 1, 3]),
        # Clip 4 is nearly a copy of clip 2 but no other clip has any doubt.
        ("epistemic-diversity", [2, 4, 0, 1, 3]),
        ("margin", [1, 2, 3, 4, 0]),
    ],
)
def test_orders_by_hand(acquisition, order):
    assert choose(acquisition, answers(), 9).tolist() == order
    assert choose(acquisition, answers(), 2).tolist() == order[:2]


def test_diversity_takes_other_clips():
    """A clip with a fifth of the doubt, at a right angle, comes before a copy of the first."""
    draws = np.concatenate([DRAWS[:, [2, 4]], [[[0.7, 0.3, 0]], [[0.3, 0.7, 0]]]], axis=1)
    found = answers(draws, np.array([[1, 1], [1, 1.01], [1, -1]], np.float32))
    assert choose("epistemic", found, 3).tolist() == [0, 1, 2]
    assert choose("epistemic-diversity", found, 3).tolist() == [0, 2, 1]


def test_margins_by_hand():
    probs = [[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]]
    np.testing.assert_allclose(margin(probs, "multiclass"), [0.2, 0.85])
    # The labels closest to one half have 0.5 and 0.9.
    np.testing.assert_allclose(margin(probs, "multilabel"), [0.0, 0.8])
    draws = np.array([[[0.9, 0.9], [0.4, 0.1]]])
    assert choose("margin", answers(draws, EMBEDDINGS[:2], "multilabel"), 1).tolist() == [1]


def test_random_is_a_permutation_of_its_seed():
    found = answers()
    orders = {tuple(choose("random", found, 5, seed=(0, n))) for n in range(30)}
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders) and len(orders) > 10
    one, other = (choose("random", found, 5, seed=(3, 1)) for _ in range(2))
    assert one.tolist() == other.tolist()


def test_badge_draws_by_squared_distance():
    """Against the gradients themselves; 2000 second clips, within four standard errors."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), size=6)
    embeddings = rng.normal(size=(6, 4)).astype(np.float32)
    found = answers(probs[None], embeddings)
    errors = probs - np.eye(3)[probs.argmax(1)]
    gradients = np.array([np.outer(e, h).ravel() for e, h in zip(errors, embeddings, strict=True)])
    first = int((gradients**2).sum(1).argmax())
    distances = ((gradients - gradients[first]) ** 2).sum(1)
    expected = distances / distances.sum()
    drawn = [choose("badge", found, 2, seed=n) for n in range(2000)]
    assert {int(pair[0]) for pair in drawn} == {first}
    share = np.bincount([pair[1] for pair in drawn], minlength=6) / 2000
    assert (np.abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / 2000)).all()
    assert sorted(choose("badge", found, 6)) == list(range(6))


def test_badge_of_copies():
    """Gradients that are all equal: every clip comes once."""
    found = answers(DRAWS[:, [1, 1, 1]], EMBEDDINGS[[2, 2, 2]])
    assert sorted(choose("badge", found, 3)) == [0, 1, 2]


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_no_clip_twice(acquisition):
    rng = np.random.default_rng(1)
    found = answers(rng.dirichlet(np.ones(3), size=(4, 30)), rng.normal(size=(30, 5)))
    chosen = choose(acquisition, found, 12, seed=2)
    assert len(set(chosen.tolist())) == 12 and chosen.max() < 30


def test_wrong_wishes():
    with pytest.raises(UserError, match="acquisition is 'doubt'; it must be one of random, total"):
        choose("doubt", answers(), 1)
    with pytest.raises(UserError, match="count is 0; use 1 or more"):
        choose("margin", answers(), 0)
    with pytest.raises(UserError, match="one network has no epistemic uncertainty to choose by"):
        choose("epistemic", answers(DRAWS[:1]), 1)


def test_first_clips():
    labels = np.eye(3)[np.arange(30) % 3]
    chosen = first_clips(labels, 2, (0, 1))
    assert labels[chosen].sum(axis=0).tolist() == [2, 2, 2]
    assert chosen.tolist() != first_clips(labels, 2, (0, 2)).tolist()
    several = (np.random.default_rng(0).random((40, 5)) < 0.3).astype(float)
    chosen = first_clips(several, 2, (0,))
    assert (several[chosen].sum(axis=0) >= 2).all() and len(set(chosen)) == len(chosen) <= 10
    with pytest.raises(UserError, match="label number 0 has 10 clips in the pool, but 11 of each"):
        first_clips(labels, 11, (0,))


def test_the_published_choice():
    """The keys of docs/design.md: another choice would be another curve."""
    assert first_clips(np.eye(3)[np.arange(12) % 3], 1, (4, 2)).tolist() == [8, 0, 10]
    found = answers(np.full([2, 6, 3], 1 / 3), np.ones([6, 2], np.float32))
    expected = np.random.default_rng([4, 2, 1]).permutation(6).tolist()
    assert choose("random", found, 6, seed=(4, 2, 1)).tolist() == expected

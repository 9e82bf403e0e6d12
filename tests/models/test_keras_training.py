"""VIPANN's `compile`, `fit`, `evaluate`, `predict` and `sample`: right numbers, or what to do."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special

from tests.helpers import networks
from vipann_tf.models.architecture import STAGE_BLOCKS
from vipann_tf.models.objective import Objective
from vipann_tf.models.randomness import Draw, randomness
from vipann_tf.models.vipann import VIPANN

CLIPS = networks.waveforms(5, samples=8000)
CLASSES = np.array([0, 3, 1, 2, 3])
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]
PLAIN = {"dropout_conv": 0.0, "dropout_block": 0.0, "dropout_dense": 0.0}


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGE_BLOCKS, 22, (1, 0, 0, 1))  # tracing takes a time a layer
        yield


@pytest.fixture(scope="module")
def fixed():
    """A network that no test trains, and its pooled features."""
    model = made()
    return model, features(model)


def made(kind="det-flip", **changes):
    values = {"width": 1 / 64, "labels": 4, "task": "multiclass", **changes}
    return networks.network(kind, values)


def features(model):
    return model.run(CLIPS, stop="pooled").numpy()


def compiled(model, optimizer=None, **kwargs):
    """For batches of pooled features, which trace fast."""
    optimizer = optimizer or tf_keras.optimizers.SGD(0.0)
    model.freeze_trunk()
    arguments = {"objective": Objective(kl_warmup_steps=4), "start": "pooled", **kwargs}
    model.compile(optimizer, **arguments)
    return model


def expected_evaluation(model):
    nll = -special.log_softmax(model(CLIPS), axis=-1)[np.arange(5), CLASSES].mean()
    kl = float(model.kl("mean"))
    return {"loss": nll + kl / 5, "nll": nll, "kl": kl}


@pytest.mark.parametrize("form", ["tuple", "dict", "dataset"])
def test_every_form_of_data_has_the_same_numbers(fixed, form):
    model, x = fixed
    compiled(model, metrics=["accuracy"], clips=5 if form == "dataset" else None)
    data = {
        "tuple": {"x": x, "y": CLASSES},
        "dict": {"x": {"features": x, "labels": ONE_HOT, "clip_id": np.arange(5)}},
        "dataset": {"x": tf.data.Dataset.from_tensor_slices((x, CLASSES)).batch(2)},
    }[form]
    size = {} if form == "dataset" else {"batch_size": 2}
    history = model.fit(**data, **size, epochs=2, shuffle=False, verbose=0).history
    scores = model.evaluate(**data, **size, verbose=0, return_dict=True)
    expected = expected_evaluation(model)
    accuracy = (np.argmax(model(CLIPS), -1) == CLASSES).mean()
    assert scores == pytest.approx({**expected, "accuracy": accuracy}, rel=1e-4)
    # The weight rises to 1 / 5 in 4 steps: an epoch has batches of 2, 2 and 1 clips.
    scale = np.array([2 * 0 + 2 * 0.25 + 0.5, 2 * 0.75 + 2 + 1]) / 5 / 5
    np.testing.assert_allclose(history["kl_scale"], scale, rtol=1e-5)
    np.testing.assert_allclose(history["kl"], 2 * [expected["kl"]], rtol=1e-5)
    losses = np.array(history["nll"]) + scale * expected["kl"]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    for batch in (({"features": x}, CLASSES), (x, ONE_HOT)):
        again = model.test_on_batch(*batch, return_dict=True)
        assert again == pytest.approx(scores, rel=1e-5)
    name = {"features": x} if form == "dict" else x
    np.testing.assert_allclose(model.predict(name, verbose=0), model(CLIPS), rtol=1e-4, atol=1e-5)


def test_fit_takes_the_steps_of_train_step():
    fitted, stepped = (made(**PLAIN) for _ in range(2))
    for model in (fitted, stepped):
        model.compile(tf_keras.optimizers.SGD(0.1), objective=Objective(), clips=5, seed=3)
    history = fitted.fit(CLIPS, CLASSES, batch_size=5, shuffle=False, verbose=0).history
    results = stepped.train_step({"waveform": CLIPS, "labels": ONE_HOT})
    for name, value in results.items():
        assert history[name][0] == pytest.approx(float(value), rel=1e-4), name
    for name, value in stepped.named_variables().items():
        ours = fitted.named_variables()[name]
        np.testing.assert_allclose(ours, value, rtol=1e-3, atol=1e-5, err_msg=name)
    for draw in (Draw(2, 1), Draw(2, 2)):
        with randomness(draw):
            expected = fitted(CLIPS)
            answer = fitted.predict(CLIPS, verbose=0)
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
        found = fitted.sample(CLIPS, num_draws=2, seed=2)
        assert found.shape == (2, 5, 4)
        np.testing.assert_allclose(found[draw.index - 1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_callbacks_and_round_trips(tmp_path):
    model = made()
    x = features(model)
    compiled(model, tf_keras.optimizers.Adam(1e-2), metrics=["accuracy"], seed=2)
    callbacks = [
        tf_keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        tf_keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), save_best_only=True),
        tf_keras.callbacks.TensorBoard(tmp_path / "tensorboard", histogram_freq=1),
    ]
    more = {"validation_data": (x, CLASSES), "callbacks": callbacks, "verbose": 0}
    history = model.fit(x, CLASSES, epochs=3, **more).history
    best = min(history["val_loss"])
    assert model.evaluate(x, CLASSES, verbose=0)[0] == pytest.approx(best, rel=1e-5)
    assert list((tmp_path / "tensorboard" / "train").glob("events*"))
    model.save(tmp_path / "saved_model")
    for name in ("best.keras", "saved_model"):
        loaded = tf_keras.models.load_model(tmp_path / name)
        assert type(loaded) is VIPANN
        np.testing.assert_allclose(loaded(CLIPS), model(CLIPS), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            loaded.sample(CLIPS, 2, 1), model.sample(CLIPS, 2, 1), rtol=1e-4, atol=1e-4
        )
        if name == "best.keras":  # which has the objective, too
            loaded.freeze_trunk()
            assert loaded.fit(x, CLASSES, verbose=0).history["accuracy"]
        else:
            with pytest.raises(ValueError, match="the model is not compiled"):
                loaded.fit(x, CLASSES, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "minimises the negative ELBO.* got no objective; use compile"),
        ({"loss": "mse", "objective": Objective()}, "got loss; use compile.optimizer, objective"),
    ],
)
def test_a_loss_of_another_kind(fixed, arguments, message):
    with pytest.raises(ValueError, match=message):
        fixed[0].compile("adam", **arguments)


def test_what_is_not_compiled_and_what_can_not_be_counted():
    model = made()
    for verb in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"not compiled.* compile\(optimizer, objective"):
            verb(CLIPS, CLASSES)
    model.compile("sgd", objective=Objective())
    dataset = tf.data.Dataset.from_tensor_slices((CLIPS, CLASSES)).batch(5)
    for verb in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"N of KL / N, is not known.* clips=N"):
            verb(dataset)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": CLIPS}, "a batch has 'waveform' but no labels"),
        ({"x": {"sound": CLIPS}, "y": CLASSES}, "a batch has 'sound' but no 'waveform'"),
        (
            {"x": CLIPS, "y": np.eye(7)[CLASSES]},
            r"shape \(5, 7\).* takes \[batch, 4\], one-hot, or",
        ),
        ({"x": CLIPS, "y": CLASSES / 2}, r"labels have shape \(5,\) and dtype float"),
        ({"x": CLIPS, "y": CLASSES + 1}, "a class number is not in 0 to 3"),
        ({"x": CLIPS[0], "y": CLASSES}, r"waveforms have shape \(8000,\).*\[batch, samples\]"),
        ({"x": (CLIPS * 9000).astype("int16"), "y": CLASSES}, "dtype int16.*/ 32768"),
        ({"x": CLIPS, "y": CLASSES, "w": np.ones(5)}, "leave sample_weight and class_weight out"),
    ],
)
def test_data_of_another_form(fixed, data, message):
    model, _ = fixed
    model.compile("sgd", objective=Objective(), clips=5)
    data = tuple(data.values())
    for step in (model.train_step, model.test_step):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
            step(data if len(data) > 1 else data[0])


def test_numbers_of_draws_that_do_not_exist(fixed):
    with pytest.raises(ValueError, match="num_draws is 0; it must be at least 1"):
        fixed[0].sample(CLIPS, 0)

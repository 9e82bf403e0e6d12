"""What an export can be asked for: draws, precision, length, signs."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import networks
from tests.helpers.exported_models import (
    CLOSE,
    KINDS,
    LABELS,
    TEMPERATURE,
    Exported,
    changes_of,
    small_info,
    small_model,
)
from vipann_tf.errors import UserError
from vipann_tf.models.loss import probabilities
from vipann_tf.saved_model import reexport as reexport_module
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.export import (
    check_served,
    default_draw_storage,
    export,
)
from vipann_tf.saved_model.load import load_signatures, read_variables
from vipann_tf.saved_model.metadata import (
    read_labels,
    read_model_info,
)
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.signatures import OUTPUTS
from vipann_tf.saved_model.stored_calibration import Calibration


def names(directory):
    return sorted(child.name for child in directory.iterdir())


class TestSettings:
    def test_stored_draws_give_the_same_answers_without_random_numbers(
        self, exported, waveforms, tmp_path
    ):
        model = exported("flip")
        version = reexport(model.path, tmp_path / "stored", draw_storage="stored")
        assert read_model_info(version).draw_storage == "stored"
        loaded = load_signatures(version)
        answer = loaded.signatures["serving_default"](waveform=tf.constant(waveforms[:2]))
        expected = model.expected(waveforms[:2])
        for name in OUTPUTS:
            np.testing.assert_allclose(answer[name], getattr(expected, name), **CLOSE)
        # The function behind serving_default, and all that it calls, draw nothing.
        operations = _operations(loaded.signatures["serving_default"])
        assert "ResourceGather" in operations
        assert not [op for op in operations if "Random" in op]
        # Any other draws can still be asked for.
        asked = {"num_samples": tf.constant(5), "seed": tf.constant(9, tf.int64)}
        other = loaded.signatures["monte_carlo"](waveform=tf.constant(waveforms[:1]), **asked)
        expected = model.expected(waveforms[:1], num_draws=5, seed=9)
        np.testing.assert_allclose(other["total"], expected.total, **CLOSE)

    def test_other_draws_precision_and_length(self, exported, waveforms, tmp_path):
        model = exported("det-flip")
        version = reexport(
            model.path,
            tmp_path / "other",
            num_draws=2,
            seed=8,
            precision="bfloat16",
            fixed_seconds=1.25,
            version=5,
        )
        assert version == tmp_path / "other" / "5"
        info = read_model_info(version)
        assert (info.num_draws, info.seed, info.precision, info.fixed_seconds) == (
            2,
            8,
            "bfloat16",
            1.25,
        )
        assert info.calibration.temperature == TEMPERATURE
        assert read_labels(version) == LABELS
        loaded = load_signatures(version)
        ask = loaded.signatures["serving_default"]
        answer = ask(waveform=tf.constant(waveforms[:3, :40_000]))
        expected = model.expected(waveforms[:3, :40_000], num_draws=2, seed=8)
        difference = np.abs(answer["probabilities"] - expected.probabilities).max()
        # bfloat16 has 8 bits; the answers are near, and not those of float32.
        assert 1e-6 < difference < 0.1, difference
        with pytest.raises((tf.errors.InvalidArgumentError, TypeError), match="40000"):
            ask(waveform=tf.constant(waveforms[:3]))
        # Its variables are still the float32 ones: it can be re-exported and transferred.
        for name, value in model.keras.named_variables().items():
            np.testing.assert_array_equal(read_variables(version)[name], value)

    @pytest.mark.slow
    def test_dropout_on_and_off(self, exported, waveforms, tmp_path):
        """The same weights are a deterministic network and, with dropout, a Bayesian one."""
        model = exported("drop")
        reexport(model.path, tmp_path / "off", dropout=False)
        info = read_model_info(tmp_path / "off")
        assert (info.architecture.trunk, info.architecture.head) == ("deterministic",) * 2
        assert (info.metrics, info.calibration) == ({}, Calibration())
        answer = connect(tmp_path / "off").ask(waveforms[:2])
        logits = model.keras.run(tf.constant(waveforms[:2]))
        expected = probabilities(logits, info.architecture.task)
        np.testing.assert_allclose(answer["probabilities"], expected, **CLOSE)
        reexport(tmp_path / "off", tmp_path / "on", dropout=True)
        assert read_model_info(tmp_path / "on").architecture == model.info.architecture
        for name, value in read_variables(model.path).items():
            np.testing.assert_array_equal(read_variables(tmp_path / "on")[name], value)
        with pytest.raises(UserError, match="dropout is on, but .* and a flipout head"):
            reexport(exported("det-flip").path, tmp_path / "never", dropout=True)

    @pytest.mark.slow
    def test_other_signs_are_another_spread_of_the_same_weights(
        self, exported, waveforms, tmp_path
    ):
        model = exported("flip")
        version = reexport(model.path, tmp_path / "signs", signs="activation")
        info = read_model_info(version)
        assert info.architecture.signs == "activation"
        assert info.metrics == {}  # they were measured with the other spread
        twin = model.keras.twin(architecture=info.architecture)
        expected = Exported(twin, version, info, {}).expected(waveforms[:1])
        ask = load_signatures(version).signatures["serving_default"]
        answer = ask(waveform=tf.constant(waveforms[:1]))
        for name in OUTPUTS:
            np.testing.assert_allclose(answer[name], getattr(expected, name), **CLOSE)
        assert (
            np.abs(answer["probabilities"] - model.expected(waveforms[:1]).probabilities).max()
            > 1e-4
        )

    def test_signs_need_flipout_convolutions(self, exported, tmp_path):
        with pytest.raises(UserError, match="signs is 'channel', but the trunk of .* is determin"):
            reexport(exported("det-flip").path, tmp_path / "x", signs="channel")
        assert names(tmp_path) == []

    @pytest.mark.parametrize(
        "kind, width, samples, draws",
        [
            # Kernels of 256 x 256 and 256 x 5 in float32: 63.98 MiB for 251 draws.
            ("det-flip", 1 / 8, 251, "stored"),
            ("det-flip", 1 / 8, 252, "sampled"),
            ("det-flip", 1.0, 20, "sampled"),
            ("flip", 1 / 16, 1, "sampled"),
            ("drop", 1 / 16, 1, "sampled"),
            ("det", 1 / 16, 1, "sampled"),
            ("det-laplace", 1 / 16, 1, "sampled"),
        ],
    )
    def test_a_small_random_head_is_stored(self, kind, width, samples, draws):
        architecture = networks.architecture(KINDS[kind][0], width=width, **changes_of(kind))
        assert default_draw_storage(architecture, samples) == draws

    @pytest.mark.parametrize("samples", [0, 1001])
    def test_number_of_draws(self, exported, tmp_path, samples):
        with pytest.raises(UserError, match=f"num_draws is {samples}; use 1 to 1000"):
            reexport(exported("det").path, tmp_path / "x", num_draws=samples)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("seconds", [0.99, 0.0, -1.0])
    def test_a_length_below_what_the_network_takes(self, exported, tmp_path, seconds):
        with pytest.raises(
            UserError, match=f"length of {seconds:g} s is too short .*; use 1 s or more"
        ):
            reexport(exported("det").path, tmp_path / "x", fixed_seconds=seconds)

    @pytest.mark.parametrize("kind", ["det", "drop"])
    def test_only_kernels_can_be_stored(self, kind):
        info = small_info(small_model(kind), draw_storage="stored")
        with pytest.raises(
            UserError, match="draw_storage 'stored' needs a Flipout model; this one has a d"
        ):
            check_served(info)

    def test_metrics_and_licence_for_the_card(self, stub, monkeypatch, tmp_path):
        monkeypatch.setattr(reexport_module, "load_model", lambda path: (stub, None))
        export(stub, tmp_path / "m", small_info(stub), LABELS)
        found = {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}
        file = tmp_path / "metrics.json"
        rows = [
            {"label": "owl", "clips": 3, "auc": 0.75, "auc_low": 0.5, "auc_high": 0.875},
            {"label": "a|b", "clips": 0, "auc": None, "auc_low": None, "auc_high": None},
        ]
        document = {"dataset": "esc", "split": "fold2", "metrics": found, "per_label": rows}
        file.write_text(json.dumps(document))
        version = reexport(tmp_path / "m", tmp_path / "m", evaluations=[file], licence="CC0 1.0")
        info = read_model_info(version)
        assert set(info.metrics) == {"tiny/fold5", "esc/fold2"}
        card = (version / "README.md").read_text(encoding="utf-8")
        assert "| esc/fold2 | accuracy | 0.5 | 0.25 to 0.75 |" in card
        assert "| label | clips | auc |" in card
        assert "| owl | 3 | 0.75 (0.5 to 0.875) |" in card and r"| a\|b | 0 | - |" in card
        assert "The weights: CC0 1.0" in card
        # Numbers of another temperature would be wrong.
        version = reexport(tmp_path / "m", tmp_path / "m", calibration=Calibration(temperature=2.0))
        assert read_model_info(version).metrics == {}
        assert "with temperature 2" in (version / "README.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": "a", "split": "b"}'])
    def test_other_files_are_no_metrics(self, tmp_path, text):
        file = tmp_path / "metrics.json"
        file.write_text(text)
        with pytest.raises(UserError, match="is not a metrics.json of `vipann-tf evaluate`"):
            reexport_module.read_metrics(file)
        with pytest.raises(UserError, match="none.json can't be read: No such file"):
            reexport_module.read_metrics(tmp_path / "none.json")

    def test_no_model_to_export(self, tmp_path):
        with pytest.raises(UserError, match="no model at .*nowhere: there is no such directory"):
            reexport(tmp_path / "nowhere", tmp_path / "x")


def _operations(function) -> set[str]:
    """Operations of a function and of the functions that it calls."""
    graph = function.graph.as_graph_def()
    library = {f.signature.name: f for f in graph.library.function}
    found, waiting = set(), [graph.node]
    seen = set()
    while waiting:
        for node in waiting.pop():
            found.add(node.op)
            for value in node.attr.values():
                if value.func.name and value.func.name not in seen:
                    seen.add(value.func.name)
                    waiting.append(library[value.func.name].node_def)
    return found

"""Model directories: written whole or not at all, rising versions, round trips, settings."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import networks
from tests.helpers.exported_models import (
    CLOSE,
    KINDS,
    LABELS,
    NUM_DRAWS,
    TEMPERATURE,
    Exported,
    changes_of,
    small_info,
    small_model,
)
from vipann_tf.errors import UserError
from vipann_tf.saved_model import export as export_module
from vipann_tf.saved_model import reexport as reexport_module
from vipann_tf.saved_model.export import (
    add_version,
    check_served,
    default_draw_storage,
    export,
)
from vipann_tf.saved_model.load import load_model, load_signatures, read_variables
from vipann_tf.saved_model.metadata import (
    METADATA_JSON,
    Calibration,
    read_labels,
    read_model_info,
    version_directory,
)
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.signatures import OUTPUTS


@pytest.fixture
def stub(monkeypatch):
    """Exports that write an empty graph: for tests of directories, which need no network."""

    def save(module, path, signatures):
        os.makedirs(path)
        with open(os.path.join(path, "saved_model.pb"), "wb"):
            pass

    monkeypatch.setattr(export_module.tf.saved_model, "save", save)
    monkeypatch.setattr(export_module, "write_warmup", lambda version, info: [])
    monkeypatch.setattr(export_module, "Signatures", lambda model, info: _NoSignatures())
    return small_model("det")


class _NoSignatures:
    def __init__(self):
        self.functions = {}

    def module(self):
        return None


def names(directory):
    return sorted(child.name for child in directory.iterdir())


class TestDirectories:
    def test_what_a_version_holds(self, exported):
        model = exported("det-flip")
        version = model.path / "1"
        found = {str(f.relative_to(version)) for f in version.rglob("*") if f.is_file()}
        assert found == {
            "README.md",
            "saved_model.pb",
            "assets/labels.csv",
            "assets.extra/vipann.json",
            "assets.extra/tf_serving_warmup_requests",
            "variables/variables.index",
            "variables/variables.data-00000-of-00001",
        }
        assert names(model.path) == ["1"]

    @pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
    @pytest.mark.parametrize("step", ["save", "write_metadata", "write_warmup", "model_card"])
    def test_an_interrupted_export_leaves_no_version(
        self, stub, monkeypatch, tmp_path, failure, step
    ):
        def fail(*args, **kwargs):
            raise failure("halfway")

        target = export_module.tf.saved_model if step == "save" else export_module
        monkeypatch.setattr(target, step, fail)
        path = tmp_path / "model"
        with pytest.raises(failure, match="halfway"):
            export(stub, path, small_info(stub), LABELS)
        assert names(path) == []
        with pytest.raises(UserError, match="no model at"):
            read_model_info(path)

    def test_an_interrupted_overwrite_keeps_what_was_there(self, stub, monkeypatch, tmp_path):
        export(stub, tmp_path, small_info(stub, seed=1), LABELS)
        monkeypatch.setattr(export_module, "write_metadata", _raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            export(stub, tmp_path, small_info(stub, seed=2), LABELS, overwrite=True)
        assert names(tmp_path) == ["1"]
        assert read_model_info(tmp_path).seed == 1

    def test_an_unfinished_version_is_hidden_from_a_polling_server(
        self, stub, monkeypatch, tmp_path
    ):
        seen = []
        monkeypatch.setattr(
            export_module,
            "write_warmup",
            lambda version, info: seen.append((version, names(tmp_path))),
        )
        export(stub, tmp_path, small_info(stub), LABELS)
        ((version, during),) = seen
        assert version.is_relative_to(tmp_path)  # one file system, so that the rename is atomic
        assert not [name for name in during if name.isdecimal()]

    def test_a_model_is_not_overwritten_unasked(self, stub, tmp_path):
        export(stub, tmp_path, small_info(stub), LABELS)
        with pytest.raises(
            UserError, match="holds a model already; choose another --out, or --overwrite"
        ):
            export(stub, tmp_path, small_info(stub), LABELS)

    def test_an_overwritten_model_has_the_next_number(self, stub, tmp_path):
        """A server does not load the same number anew."""
        export(stub, tmp_path, small_info(stub, seed=1), LABELS)
        version = export(stub, tmp_path, small_info(stub, seed=2), LABELS, overwrite=True)
        assert version == tmp_path / "2"
        assert names(tmp_path) == ["2"]
        assert read_model_info(tmp_path).seed == 2

    def test_a_file_in_the_way(self, stub, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(UserError, match="file is a file; choose a directory for --out"):
            export(stub, tmp_path / "file", small_info(stub), LABELS)


class TestVersions:
    def test_they_only_rise(self, stub, tmp_path):
        info = small_info(stub)
        assert add_version(stub, tmp_path, info, LABELS).name == "1"
        assert add_version(stub, tmp_path, info, LABELS).name == "2"
        assert add_version(stub, tmp_path, info, LABELS, version=10).name == "10"
        assert add_version(stub, tmp_path, info, LABELS).name == "11"
        for version in (11, 9, 0, -1):
            with pytest.raises(
                UserError, match=rf"version {version} is not above 11.*use 12 or more"
            ):
                add_version(stub, tmp_path, info, LABELS, version=version)
        assert names(tmp_path) == ["1", "10", "11", "2"]
        assert version_directory(tmp_path).name == "11"  # by number, not by name

    def test_two_exports_at_once(self, stub, monkeypatch, tmp_path):
        """The one that finishes second does not replace the first's version."""

        def other_export(version, info):
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "saved_model.pb").write_bytes(b"the other")

        monkeypatch.setattr(export_module, "write_warmup", other_export)
        with pytest.raises(
            UserError, match="1 appeared while it was being written by another export"
        ):
            add_version(stub, tmp_path, small_info(stub), LABELS)
        assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b"the other"
        assert names(tmp_path) == ["1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_is_the_exported_one(exported, waveforms, kind):
    model = exported(kind)
    loaded, info = load_model(model.path)
    assert info.architecture == model.keras.architecture
    assert info == model.info.model_copy(update={"variables": info.variables})
    before, after = model.keras.named_variables(), loaded.named_variables()
    assert list(before) == list(after) == info.variables
    for name, variable in before.items():
        np.testing.assert_array_equal(variable, after[name], err_msg=name)
    assert set(read_variables(model.path / "1")) == set(before)
    np.testing.assert_allclose(
        loaded(waveforms[:1]), model.keras(waveforms[:1]), rtol=1e-6, atol=1e-6
    )


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
            UserError, match="draws 'stored' needs a Flipout model; this one has a d"
        ):
            check_served(info)

    def test_metrics_and_licence_for_the_card(self, stub, monkeypatch, tmp_path):
        monkeypatch.setattr(reexport_module, "load_model", lambda path: (stub, None))
        export(stub, tmp_path / "m", small_info(stub), LABELS)
        found = {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}
        file = tmp_path / "metrics.json"
        file.write_text(json.dumps({"dataset": "esc", "split": "fold2", "metrics": found}))
        version = reexport(tmp_path / "m", tmp_path / "m", evaluations=[file], licence="CC0 1.0")
        info = read_model_info(version)
        assert set(info.metrics) == {"tiny/fold5", "esc/fold2"}
        card = (version / "README.md").read_text(encoding="utf-8")
        assert "| esc/fold2 | accuracy | 0.5 | 0.25 to 0.75 |" in card
        assert "The weights: CC0 1.0" in card
        # Numbers of another temperature would be wrong.
        version = reexport(tmp_path / "m", tmp_path / "m", calibration=Calibration(temperature=2.0))
        assert read_model_info(version).metrics == {}
        assert "with temperature 2" in (version / "README.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": "a", "split": "b"}'])
    def test_other_files_are_no_metrics(self, tmp_path, text):
        file = tmp_path / "metrics.json"
        file.write_text(text)
        with pytest.raises(UserError, match="is no metrics.json of `vipann-tf evaluate`"):
            reexport_module.read_metrics(file)
        with pytest.raises(UserError, match="none.json can't be read: No such file"):
            reexport_module.read_metrics(tmp_path / "none.json")

    def test_no_model_to_export(self, tmp_path):
        with pytest.raises(UserError, match="no model at .*nowhere: there is no such directory"):
            reexport(tmp_path / "nowhere", tmp_path / "x")


class TestMetadata:
    def test_labels_keep_commas_and_accents(self, exported):
        model = exported("det")
        assert read_labels(model.path) == LABELS
        lines = (
            (model.path / "1" / "assets" / "labels.csv").read_text(encoding="utf-8").splitlines()
        )
        assert lines[:3] == ["index,name", "0,Siren", '1,"Rain, light"']

    def test_no_model(self, tmp_path):
        with pytest.raises(UserError, match="no model at .*gone: there is no such directory"):
            version_directory(tmp_path / "gone")
        with pytest.raises(
            UserError, match="neither saved_model.pb nor a version folder such as 1/"
        ):
            version_directory(tmp_path)
        (tmp_path / "1").mkdir()  # a version folder without a SavedModel in it
        (tmp_path / "training").mkdir()
        with pytest.raises(UserError, match="its training has not finished"):
            version_directory(tmp_path)

    def test_a_savedmodel_of_another_program(self, tmp_path):
        tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
        with pytest.raises(UserError, match="is a SavedModel that vipann-tf did not write"):
            read_model_info(tmp_path)

    @pytest.mark.parametrize(
        "old, new, text",
        [
            ('"schema_version": 1', '"schema_version": 2', "schema_version: Input should be 1"),
            ('"num_draws": 3', '"num_draws": "many"', "num_draws: Input should be a valid integer"),
            (
                '"seed": 11',
                '"seed": 11, "unheard_of": 1',
                "unheard_of: Extra inputs are not permitted",
            ),
        ],
    )
    def test_metadata_of_another_version(self, exported, tmp_path, old, new, text):
        info = (exported("det").path / "1" / METADATA_JSON).read_text(encoding="utf-8")
        assert old in info
        file = tmp_path / "1" / METADATA_JSON
        file.parent.mkdir(parents=True)
        (tmp_path / "1" / "saved_model.pb").write_bytes(b"")
        file.write_text(info.replace(old, new), encoding="utf-8")
        with pytest.raises(UserError, match=text) as caught:
            read_model_info(tmp_path)
        assert "was it written by a newer one?" in str(caught.value)

    def test_a_damaged_savedmodel(self, tmp_path):
        (tmp_path / "saved_model.pb").write_bytes(b"no protobuf")
        with pytest.raises(UserError, match="can't be loaded: its SavedModel is damaged"):
            load_signatures(tmp_path)


def test_the_card_says_what_the_metadata_says(exported):
    card = (exported("det-flip").path / "1" / "README.md").read_text(encoding="utf-8")
    for text in (
        "# det-flip\n",
        "ResNet-22 of width 0.0625 with a deterministic trunk and a flipout head",
        f"{NUM_DRAWS} networks of seed 11, drawn in each request",
        f"temperature {TEMPERATURE}",
        "Siren, Rain, light, Glöckchen",
        "Trained on tiny: 40 clips of 1 s, splits fold1, with fold5 held out.",
        "| tiny/fold5 | accuracy | 0.8 | 0.7 to 0.9 |",
        "| tiny/fold5 | nll | 0.61 |  |",
        "depth: 22",
        "steps 7, seconds 1.5, loss 0.25",
        "v1/models/det-flip:predict",
        "licence",
    ):
        assert text in card, text
    assert "1 s or more" in card
    deterministic = (exported("det").path / "1" / "README.md").read_text(encoding="utf-8")
    assert "its epistemic uncertainty is 0 by definition" in deterministic


def _raise_interrupt(*args, **kwargs):
    raise KeyboardInterrupt


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

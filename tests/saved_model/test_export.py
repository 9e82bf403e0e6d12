"""Model directories: written whole or not at all, rising versions, round trips, settings."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.exported_models import (
    KINDS,
    LABELS,
    NUM_DRAWS,
    TEMPERATURE,
    small_info,
)
from vipann_tf.errors import UserError
from vipann_tf.saved_model import export as export_module
from vipann_tf.saved_model.export import (
    add_version,
    export,
)
from vipann_tf.saved_model.load import load_model, load_signatures, read_variables
from vipann_tf.saved_model.metadata import (
    METADATA_JSON,
    read_labels,
    read_model_info,
    version_directory,
)


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
            UserError, match="already has a model; choose another --out, or --overwrite"
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
        with pytest.raises(UserError, match="another export wrote .*1 at the same time"):
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
        "ResNet-22 of width 0.0625, deterministic trunk, flipout head; from pretrain",
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
    assert "its epistemic uncertainty is always 0" in deterministic


def _raise_interrupt(*args, **kwargs):
    raise KeyboardInterrupt

"""The files of deploy/ against one another, and against TensorFlow Serving's own protos."""

import re

import pytest
import yaml

from tests.helpers.paths import DEPLOY
from vipann_tf.saved_model.connection import BATCH


def server_arguments() -> dict[str, list[str]]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    return {"compose": compose["services"]["serving"]["command"], "kubernetes": container["args"]}


def kubernetes() -> dict[str, dict]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "serving.yaml").read_text())
    return {document["kind"]: document for document in documents}


def deployment() -> dict:
    return kubernetes()["Deployment"]


def test_both_start_the_server_alike():
    arguments = server_arguments()
    assert arguments["compose"] == arguments["kubernetes"]
    images = (
        (DEPLOY / "compose.yaml").read_text(),
        (DEPLOY / "kubernetes" / "serving.yaml").read_text(),
    )
    found = [re.findall(r"image: (tensorflow/serving:\S+)", text) for text in images]
    assert found[0] == found[1] and len(found[0]) == 1


def test_every_file_that_the_server_reads_is_here():
    text = "\n".join(server_arguments()["compose"])
    files = re.findall(r"=/config/(\S+)", text)
    assert sorted(files) == ["batching_parameters.txt", "models.config", "monitoring.config"]
    for file in files:
        assert (DEPLOY / file).is_file()


def test_models_config_is_one():
    config = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2",
        reason="needs tensorflow-serving-api (the extra `serving`), which is not here",
    )
    from google.protobuf import text_format

    text = (DEPLOY / "models.config").read_text()
    (model,) = text_format.Parse(text, config.ModelServerConfig()).model_config_list.config
    assert model.base_path == "/models/vipann"
    assert model.model_version_policy.latest.num_versions == 1
    mounts = deployment()["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert model.base_path in [mount["mountPath"] for mount in mounts]
    assert f":{model.base_path}:ro" in (DEPLOY / "compose.yaml").read_text()
    for file in ("compose.yaml", "kubernetes/serving.yaml"):
        assert f"/v1/models/{model.name}" in (DEPLOY / file).read_text()


def test_batches_hold_what_predict_sends_and_are_not_padded():
    text = (DEPLOY / "batching_parameters.txt").read_text()
    assert int(re.search(r"max_batch_size \{ value: (\d+) \}", text)[1]) >= BATCH
    # Silence after a clip would change its answer.
    assert "pad_variable_length_inputs: false" in text


def test_monitoring_is_where_prometheus_looks():
    path = re.search(r'path: "(\S+)"', (DEPLOY / "monitoring.config").read_text())[1]
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"]
    assert job["metrics_path"] == path
    annotations = deployment()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path
    assert job["static_configs"][0]["targets"] == ["serving:8501"]


def test_the_service_finds_the_pods():
    found = kubernetes()
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] < deployment()["spec"]["replicas"]
    ports = {
        p["name"]: p["containerPort"]
        for p in deployment()["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    assert {p["name"]: p["port"] for p in found["Service"]["spec"]["ports"]} == ports
    claims = {v["name"]: v for v in deployment()["spec"]["template"]["spec"]["volumes"]}
    claim = claims["model"]["persistentVolumeClaim"]["claimName"]
    assert claim == found["PersistentVolumeClaim"]["metadata"]["name"]

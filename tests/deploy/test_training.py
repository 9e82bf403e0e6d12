"""The files of deploy/ for training against one another and against the package."""

import configparser
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.helpers.paths import DEPLOY, ROOT
from vipann_tf.cli import main
from vipann_tf.recipes import PretrainRecipe, load_recipe

pytestmark = pytest.mark.slow

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
MANIFESTS = ("training", "training-workers")


def manifest(name: str) -> dict[str, dict]:
    text = (DEPLOY / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def pod(name: str) -> dict:
    return manifest(name)["Job"]["spec"]["template"]["spec"]


def container(name: str) -> dict:
    (found,) = pod(name)["containers"]
    return found


def workers() -> int:
    (variable,) = container("training-workers")["env"]
    assert variable["name"] == "WORKERS"
    return int(variable["value"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_commands_are_understood(name):
    """The options exist, the recipe is shipped, and its batches can be shared."""
    command, recipe, *options = container(name)["args"]
    given = main.commands[command].make_context(command, [recipe, *options]).params
    assert given["devices"] == {"training": "mirrored"}.get(name, "multiworker")
    gpus = int(container(name)["resources"]["limits"]["nvidia.com/gpu"])
    replicas = gpus * (workers() if name == "training-workers" else 1)
    assert replicas > 1
    assert load_recipe(PretrainRecipe, recipe, ()).training.batch_size % replicas == 0


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_run_the_image_as_its_user(name):
    (user,) = re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.M)
    context = pod(name)["securityContext"]
    assert context["runAsNonRoot"] and context["runAsUser"] == context["fsGroup"] == int(user) > 0
    assert container(name)["image"].split(":")[0] == re.search(r"-t (\S+?) ", DOCKERFILE)[1]
    mounts = {mount["mountPath"]: mount["name"] for mount in container(name)["volumeMounts"]}
    # The root of the file system is read-only, and these are not.
    for setting in (r"^WORKDIR (/work)$", r"\bHOME=(\S+)"):
        assert re.search(setting, DOCKERFILE, re.M)[1] in mounts
    volumes = {volume["name"] for volume in pod(name)["volumes"]}
    assert volumes == set(mounts.values())


@pytest.mark.parametrize("name", MANIFESTS)
def test_claims_and_labels_are_those_of_the_pods(name):
    found = manifest(name)
    (claim,) = (v["persistentVolumeClaim"] for v in pod(name)["volumes"] if v["name"] == "work")
    assert claim["claimName"] == found["PersistentVolumeClaim"]["metadata"]["name"]
    labels = found["Job"]["spec"]["template"]["metadata"]["labels"]
    selectors = []
    if "Service" in found:
        selectors.append(found["Service"]["spec"]["selector"])
        selectors.append(found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])
        (rule,) = found["NetworkPolicy"]["spec"]["ingress"]
        selectors.append(rule["from"][0]["podSelector"]["matchLabels"])
    assert all(selector.items() <= labels.items() for selector in selectors)


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_every_worker_has_its_index_of_one_cluster(tmp_path):
    """The command of the Pods, run with a vipann-tf that shows what it was given."""
    command = container("training-workers")["command"]
    program = tmp_path / "vipann-tf"
    program.write_text('#!/bin/bash\nprintf "%s\\n" "$TF_CONFIG" > given\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    job = manifest("training-workers")["Job"]
    count = workers()
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == count > 1
    assert job["spec"]["completionMode"] == "Indexed"
    service = manifest("training-workers")["Service"]["metadata"]["name"]
    assert pod("training-workers")["subdomain"] == service
    (port,) = container("training-workers")["ports"]
    # A Pod of an indexed Job is named after the Job and its index.
    names = [
        f"{job['metadata']['name']}-{index}.{service}:{port['containerPort']}"
        for index in range(count)
    ]
    for index in range(count):
        done = subprocess.run(
            [*command, "pretrain", "a recipe"],
            cwd=tmp_path,
            env={
                "PATH": f"{tmp_path}:/usr/bin:/bin",
                "WORKERS": str(count),
                "JOB_COMPLETION_INDEX": str(index),
            },
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.stdout == "pretrain|a recipe|"
        assert json.loads((tmp_path / "given").read_text()) == {
            "cluster": {"worker": names},
            "task": {"type": "worker", "index": index},
        }


def test_the_script_of_the_pods_has_no_faults():
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("needs shellcheck (the extra `dev`), which is not here")
    script = container("training-workers")["command"][2]
    done = subprocess.run(
        [shellcheck, "--shell=bash", "-"], input=script, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout


def test_the_image_can_have_gpus():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = re.findall(r"EXTRAS=(\w+)", DOCKERFILE)
    assert asked and set(asked) <= set(settings["options.extras_require"])
    (base,) = re.findall(r"^ARG BASE=python:(\S+?)-", DOCKERFILE, re.M)
    assert f":: {base}\n" in settings["metadata"]["classifiers"]

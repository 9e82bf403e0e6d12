"""deploy/slurm/train.sh, with stand-ins for Slurm's commands: its tasks are processes here."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from tests.helpers.distributed_trainings import (
    STEPS,
    TIMEOUT_S,
    Trainings,
    check_same,
)
from tests.helpers.paths import DEPLOY, ROOT
from tests.helpers.slurm_task import LIMIT_STEP
from tests.helpers.tiny_training import pretrain_recipe, shallow, stand_ins
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.run import unfinished

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="needs bash, and the loopback addresses of Linux"
    ),
]
SCRIPT = DEPLOY / "slurm" / "train.sh"
JOB = 7_012_345
# One task per node. The script starts srun itself, so that its parent is the script.
SRUN = """
while [[ $1 == --* ]]; do echo "$1" >> "$SLURM_STATE/srun"; shift; done
export BATCH_SCRIPT=$PPID
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do
    SLURM_PROCID=$node "$@" &
    tasks+=($!)
done
echo "${tasks[@]}" > "$SLURM_STATE/tasks"
highest=0
for task in "${tasks[@]}"; do
    status=0
    wait "$task" || status=$?
    highest=$((status > highest ? status : highest))
done
exit $highest
"""
# Nodes have addresses of their own on the loopback interface.
SCONTROL = f"""
case "$*" in
    "show hostnames "*) for ((i = 1; i <= SLURM_JOB_NUM_NODES; i++)); do echo 127.0.0.$i; done ;;
    "requeue {JOB}") echo "$*" >> "$SLURM_STATE/requeued" ;;
    *) exit 2 ;;
esac
"""
SCANCEL = f"""
[[ "$*" == "--signal=TERM {JOB}" ]] || exit 2
# shellcheck disable=SC2046
kill -TERM $(cat "$SLURM_STATE/tasks")
touch "$SLURM_STATE/told"
"""
TRAINS = f"""
export PYTHONPATH={shlex.quote(str(ROOT))}
exec {shlex.quote(sys.executable)} -m tests.helpers.slurm_task "$@"
"""


class Slurm:
    """A cluster that runs the script."""

    def __init__(self, folder):
        self.state = folder / "state"
        self.state.mkdir()
        self._commands = folder / "bin"
        self._commands.mkdir()
        for name, text in {"srun": SRUN, "scontrol": SCONTROL, "scancel": SCANCEL}.items():
            self.install(name, text)

    def install(self, name: str, text: str) -> None:
        command = self._commands / name
        command.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        command.chmod(0o755)

    def run(self, *arguments: str, nodes: int, **environment: str) -> subprocess.CompletedProcess:
        kept = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
        return subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env={
                **kept,
                "PATH": f"{self._commands}{os.pathsep}{os.environ['PATH']}",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "SLURM_STATE": str(self.state),
                "SLURM_JOB_ID": str(JOB),
                "SLURM_JOB_NUM_NODES": str(nodes),
                "SLURM_JOB_NODELIST": f"node[1-{nodes}]",
                "SLURM_CPUS_PER_TASK": "4",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=TIMEOUT_S,
        )

    @property
    def requeued(self) -> bool:
        return (self.state / "requeued").exists()


@pytest.fixture
def slurm(tmp_path) -> Slurm:
    return Slurm(tmp_path)


def test_a_task_per_node(slurm):
    """Each has the same cluster and its own index, and the arguments as they were given."""
    slurm.install(
        "vipann-tf", 'echo "$TF_CONFIG" > "$SLURM_STATE/$SLURM_PROCID"; printf "%s|" "$@"'
    )
    done = slurm.run("pretrain", "my recipe.yaml", "--set", "a=[1, 2]", nodes=3)
    assert done.returncode == 0 and done.stdout == "pretrain|my recipe.yaml|--set|a=[1, 2]|" * 3
    workers = ["127.0.0.1:22345", "127.0.0.2:22346", "127.0.0.3:22347"]
    for index in range(3):
        assert json.loads((slurm.state / str(index)).read_text()) == {
            "cluster": {"worker": workers},
            "task": {"type": "worker", "index": index},
        }
    options = (slurm.state / "srun").read_text().split()
    # A worker that ends first must not end the one that exports.
    assert options == ["--kill-on-bad-exit=0", "--wait=0", "--cpus-per-task=4"]


def test_one_node_needs_no_cluster(slurm):
    slurm.install("vipann-tf", 'echo "${TF_CONFIG-none}"')
    assert slurm.run("info", nodes=1).stdout == "none\n"


def test_a_failure_is_that_of_the_job(slurm):
    slurm.install("vipann-tf", "exit $((SLURM_PROCID + 2))")
    assert slurm.run("pretrain", nodes=2).returncode == 3
    assert not slurm.requeued


def test_stopped_before_the_limit_and_queued_again(slurm, tagging, events, tmp_path):
    """Two workers stop with a checkpoint; started again, they end as one device."""
    base = tmp_path / "base"
    with pytest.MonkeyPatch.context() as patch:
        stand_ins(patch.setattr)
        shallow(patch.setitem)
        pretrain(pretrain_recipe("deterministic"), tagging, base)
        trainings = Trainings("head", base, events, tmp_path)
        reference = trainings.run("one", "none")
    slurm.install("vipann-tf", TRAINS)
    command = trainings.command("workers", "auto")

    done = slurm.run(*command, nodes=2)
    assert done.returncode == 0 and slurm.requeued, done.stdout[-3000:]
    assert f"of {STEPS} with a checkpoint" in done.stdout
    run = unfinished(tmp_path / "workers")
    assert run["checkpoint"] == run["step"] in (LIMIT_STEP, LIMIT_STEP + 1)

    (slurm.state / "requeued").unlink()
    done = slurm.run(*command, nodes=2, SLURM_RESTART_COUNT="1")
    assert done.returncode == 0 and not slurm.requeued, done.stdout[-3000:]
    assert done.stdout.count("transfer det-flip") == 1  # one worker reports
    check_same(tmp_path / "workers", reference)

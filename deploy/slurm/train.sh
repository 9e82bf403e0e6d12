#!/bin/bash
# Train on all GPUs of one node, or of several nodes, under Slurm.
#
#   sbatch deploy/slurm/train.sh pretrain RECIPE --data data/audioset --out models/base
#   sbatch --nodes=4 --gpus-per-node=8 --time=48:00:00 deploy/slurm/train.sh pretrain RECIPE ...
#
# The arguments are those of vipann-tf. It must be on the PATH when you submit (activate its
# environment first), and its environment, data and --out on a file system that all nodes share.
# training.batch_size is that of all GPUs together, and must be a multiple of their number.
# Options of sbatch override these lines:
#
#SBATCH --job-name=vipann-tf
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# After the failure of a node, Slurm starts this script again, and the training resumes.
#SBATCH --requeue
# Five minutes before the time limit, this script gets SIGUSR1: time for one step and a checkpoint.
#SBATCH --signal=B:USR1@300
set -euo pipefail

near_limit=
# The tasks save a checkpoint at SIGTERM. Without --full, scancel does not signal this script.
trap 'near_limit=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

if ((SLURM_JOB_NUM_NODES > 1)); then
    # One worker per node. Two jobs that share a node have different ports.
    port=$((20000 + SLURM_JOB_ID % 10000))
    workers=
    for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
        workers+="${workers:+, }\"$host:$port\""
        port=$((port + 1))
    done
    export CLUSTER="{\"worker\": [$workers]}"
fi
# Each task is one of the workers; on one node there is no TF_CONFIG, and all its GPUs are taken.
# shellcheck disable=SC2016 # the task expands it
task='
if [[ ${CLUSTER-} ]]; then
    export TF_CONFIG="{\"cluster\": $CLUSTER, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
fi
exec vipann-tf "$@"'
# No task ends the others: a worker that is done leaves the export to the first, and TensorFlow tells
# them of one that is lost.
srun --kill-on-bad-exit=0 --wait=0 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    bash -c "$task" vipann-tf "$@" &
tasks=$!
status=0
wait "$tasks" || status=$?
if [[ $near_limit && $status -gt 128 ]]; then # the signal ended the wait, not yet the tasks
    status=0
    wait "$tasks" || status=$?
fi
if [[ $near_limit && $status -ne 0 ]]; then
    echo "stopped before the time limit; the job is queued again and resumes"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"

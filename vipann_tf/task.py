"""What the labels of a clip mean: any number of them is true, or exactly one."""

from typing import Literal, get_args

from vipann_tf.errors import UserError

__all__ = ["TASKS", "Task", "check_task"]

Task = Literal["multilabel", "multiclass"]
TASKS: tuple[Task, ...] = get_args(Task)


def check_task(task: str) -> None:
    """Raise a `UserError` unless the task is one of `TASKS`."""
    if task not in TASKS:
        raise UserError(f"task is {task!r}; it must be one of {', '.join(TASKS)}")

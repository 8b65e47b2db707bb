"""Kinds of task: one class and one line here each."""

from avemo.base.registry import Registry

TASKS = Registry(
    "task",
    classes="avemo.dataset.tasks:Classes",
    attributes="avemo.dataset.tasks:Attributes",
    bits="avemo.dataset.tasks:Bits",
)

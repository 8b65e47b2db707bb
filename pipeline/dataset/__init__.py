"""Kinds of task: one class and one line here each."""

from pipeline.registry import Registry

TASKS = Registry(
    "task",
    classes="pipeline.dataset.tasks:Classes",
    attributes="pipeline.dataset.tasks:Attributes",
    bits="pipeline.dataset.tasks:Bits",
)

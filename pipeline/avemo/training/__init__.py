"""Training procedures: one function and one line here each."""

from avemo.base.registry import Registry

STEPS = Registry(
    "procedure",
    joint="avemo.training.steps:joint",
    alternating="avemo.training.steps:alternating",
    sampled="avemo.training.steps:sampled",
)

"""Training procedures: one function and one line here each."""

from pipeline.registry import Registry

STEPS = Registry(
    "procedure",
    joint="pipeline.training.steps:joint",
    alternating="pipeline.training.steps:alternating",
    sampled="pipeline.training.steps:sampled",
)

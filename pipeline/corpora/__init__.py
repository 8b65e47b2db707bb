"""Corpora: one file and one line here each."""

from pipeline.registry import Registry

CORPORA = Registry(
    "corpus",
    cmu_mosei="pipeline.corpora.cmu_mosei:CmuMosei",
    crema_d="pipeline.corpora.crema_d:CremaD",
    demo="pipeline.corpora.demo:Demo",
    msp_improv="pipeline.corpora.msp_improv:MspImprov",
    table="pipeline.corpora.table:TableCorpus",
)

EXAMPLES = Registry(
    "fine-tuning corpus",
    affectnet="pipeline.corpora.affectnet:examples",
    msp_podcast="pipeline.corpora.msp_podcast:examples",
)
"""Corpora that networks behind extractors are fine-tuned on."""

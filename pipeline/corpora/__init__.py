"""Corpora: one file and one line here each."""

from pipeline.registry import Registry

CORPORA = Registry(
    "corpus",
    crema_d="pipeline.corpora.crema_d:CremaD",
    demo="pipeline.corpora.demo:Demo",
    table="pipeline.corpora.table:TableCorpus",
)

"""Corpora: one file and one line here each; or of another package (`avemo.base.registry`)."""

from avemo.base.registry import Registry

CORPORA = Registry(
    "corpus",
    base="avemo.corpora.base:Corpus",
    cmu_mosei="avemo.corpora.cmu_mosei:CmuMosei",
    crema_d="avemo.corpora.crema_d:CremaD",
    demo="avemo.synthetic.demo_corpus:Demo",
    emodb="avemo.corpora.emodb:EmoDB",
    enterface05="avemo.corpora.enterface05:Enterface05",
    iemocap="avemo.corpora.iemocap:Iemocap",
    meld="avemo.corpora.meld:Meld",
    msp_improv="avemo.corpora.msp_improv:MspImprov",
    msp_podcast="avemo.corpora.msp_podcast:MspPodcast",
    ravdess="avemo.corpora.ravdess:Ravdess",
    savee="avemo.corpora.savee:Savee",
    table="avemo.corpora.table:TableCorpus",
)

EXAMPLES = Registry(
    "fine-tuning corpus",
    affectnet="avemo.corpora.affectnet:examples",
    msp_podcast="avemo.corpora.msp_podcast:examples",
)
"""Corpora that networks behind extractors are fine-tuned on."""

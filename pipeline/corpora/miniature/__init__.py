"""Miniatures: each corpus' real layout and naming, filled with the demo's faces and voices.

With them every paper's workflow runs from end to end where its corpus is not
at hand. A miniature carries `pipeline.corpora.base.MARKER`, by which its
corpus knows that it is synthetic.
"""

from pipeline.registry import Registry

MINIATURES = Registry(
    "miniature",
    affectnet="pipeline.corpora.miniature.affectnet:write",
    cmu_mosei="pipeline.corpora.miniature.cmu_mosei:write",
    crema_d="pipeline.corpora.miniature.crema_d:write",
    msp_improv="pipeline.corpora.miniature.msp_improv:write",
    msp_podcast="pipeline.corpora.miniature.msp_podcast:write",
)

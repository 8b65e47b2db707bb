"""Miniatures: each corpus' real layout and naming, filled with the demo's faces and voices.

With them every paper's workflow runs from end to end where its corpus is not
at hand; by default with as few people as that corpus' splits allow. A miniature carries `avemo.corpora.base.MARKER`, by which its
corpus knows that it is synthetic.
"""

from avemo.base.registry import Registry

MINIATURES = Registry(
    "miniature",
    affectnet="avemo.synthetic.miniatures.affectnet:write",
    cmu_mosei="avemo.synthetic.miniatures.cmu_mosei:write",
    crema_d="avemo.synthetic.miniatures.crema_d:write",
    emodb="avemo.synthetic.miniatures.coded_names:write_emodb",
    enterface05="avemo.synthetic.miniatures.coded_names:write_enterface05",
    iemocap="avemo.synthetic.miniatures.iemocap:write",
    meld="avemo.synthetic.miniatures.meld:write",
    msp_improv="avemo.synthetic.miniatures.msp_improv:write",
    msp_podcast="avemo.synthetic.miniatures.msp_podcast:write",
    ravdess="avemo.synthetic.miniatures.coded_names:write_ravdess",
    savee="avemo.synthetic.miniatures.coded_names:write_savee",
)

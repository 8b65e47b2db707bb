# Each config file once more, as Snakemake takes the last of two equal keys without a word.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from avemo.base.contracts import AvemoError
from avemo.study.config import read_config

try:
    for path in map(Path, CONFIGFILES):
        read_config(path)
except AvemoError as error:
    raise WorkflowError(str(error))

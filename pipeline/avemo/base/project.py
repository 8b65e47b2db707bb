"""Where the project's files lie that are no modules: the workflow, its profiles, configs and environments."""

from pathlib import Path

PROJECT = (Path(__file__).parents[1] / "project" / "Snakefile").resolve().parent
"""The checkout's root, or in an installed package the folder that carries the same."""


def carried(path: Path) -> Path:
    """``path`` as the working folder has it, else as the project carries it.

    >>> carried(Path("profiles/slurm")).is_dir()
    True
    """
    return path if path.exists() or not (PROJECT / path).exists() else PROJECT / path

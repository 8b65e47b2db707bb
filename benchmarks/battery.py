"""What the systems are held to: parameters of every variant, checks passed by each system, parity.

Runs the tests of `tests/models` and `tests/training` in this process and counts those of each system.
One thread a process, as `make test` has: their tensors are small, and threads would mostly wait for each other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from avemo.models import MODELS

TESTS = Path(__file__).resolve().parent.parent / "tests"
FOLDERS = ("models", "training")


class Tally:
    """A pytest plugin: which tests are of which system, and how many passed."""

    def __init__(self) -> None:
        self.systems: dict[str, str] = {}
        self.ran, self.passed = Counter[str](), Counter[str]()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note the systems."""
        for item in items:
            self.systems[item.nodeid] = system_of(item)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count; a test that fails before its own call counts too."""
        if report.when == "call" or report.failed:
            system = self.systems[report.nodeid]
            self.ran[system] += 1
            self.passed[system] += report.passed


def system_of(item: Any) -> str:
    """By its parameters, or its file's name; ``shared`` for what belongs to no single system."""
    given = getattr(item, "callspec", None)
    values = list(given.params.values()) if given else []
    named = [getattr(value, "name", value) for value in values]
    named += [str(value).split(",")[0].split(" ")[0].lower().replace("-", "_") for value in values]
    named.append(item.path.stem.removeprefix("test_"))
    return next((name for name in named if isinstance(name, str) and name in MODELS), "shared")


def main(arguments: list[str] | None = None) -> None:
    """Print three tables; the exit code is 1 if a test or a count fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--only", default="", help="run tests that match, as pytest's -k does")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(TESTS))
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
    torch.set_num_threads(1)
    right = print_counts()
    print_parity()
    tally = Tally()
    folders = [str(TESTS / folder) for folder in FOLDERS]
    code = pytest.main([*folders, "-q", "-k", options.only, "--no-header", "--no-summary"], [tally])
    print(f"\n{'system':<22}{'checks passed':>14}")
    for system in sorted(tally.ran):
        print(f"{system:<22}{f'{tally.passed[system]} of {tally.ran[system]}':>14}")
    sys.exit(0 if right and code == 0 else 1)


def print_counts() -> bool:
    """Parameters of each variant; whether all are as expected."""
    from parameter_counts import COUNTS, counted

    print(f"{'system':<22}{'variant':<32}{'parameters':>14}{'expected':>14}")
    right = True
    for count in COUNTS:
        found = counted(count)
        right &= found == count.expected
        print(f"{count.name:<22}{count.variant:<32}{found:>14,}{count.expected:>14,}")
    return right


def print_parity() -> None:
    """Largest difference from public code with the same weights."""
    from parity import CASES, compared, gap

    print(f"\n{'public code':<34}{'outputs compared':<34}{'max diff':>10}{'allowed':>10}")
    for case in CASES:
        pairs = compared(case)
        names = ", ".join(name.replace("_reconstruction", " rec.") for name in pairs)
        print(f"{case:<34}{names:<34}{gap(pairs):>10.1e}{1e-5:>10.0e}")


if __name__ == "__main__":
    main()

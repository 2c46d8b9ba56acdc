"""Rank with semble, run by the Python that has it: a job as JSON comes in, ranked paths go out.

Nothing of this project is imported here. `bench/repos.py` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile


def main() -> int:
    """Read the job, index each tree, answer each query with the paths of its chunks in rank order."""
    job = json.load(sys.stdin)
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SEMBLE_CACHE_LOCATION"] = cache
        from semble import SembleIndex

        answers = {}
        for repo, task in job["repos"].items():
            index = SembleIndex.from_path(task["tree"], model_path=job["model"])
            answers[repo] = [
                [r.chunk.file_path for r in index.search(query, top_k=job["top_k"], alpha=job["alpha"])]
                for query in task["queries"]
            ]
    json.dump(answers, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())

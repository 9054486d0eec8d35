# SPDX-License-Identifier: Apache-2.0
"""Sample files of lm-evaluation-harness, written by its own writer: what ``tests/tables/logs`` holds.

Run in an environment of its own, with ``lm-eval`` and ``datasets``: ``python scripts/lm_eval_logs.py FOLDER``. Nothing
is fetched: the tasks are made here, and the model draws its log-likelihoods with a fixed seed. What the harness itself
prints (acc, acc_norm, acc_bytes, exact_match) is written beside the samples, as ``printed.json``.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker

ANIMALS = ["cat", "white stork", "ant", "Bär", "red-necked wallaby", "鹤", "ox"]


class Drawn(LM):
    """A model that draws."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = random.Random(0)

    def loglikelihood(self, requests):  # noqa: D102
        return [(-self.generator.uniform(0.5, 1.5) * len(one.args[1]), False) for one in requests]

    def loglikelihood_rolling(self, requests):  # noqa: D102
        return [-self.generator.uniform(1, 9) for _ in requests]

    def generate_until(self, requests):  # noqa: D102
        return [
            f"About {self.generator.randint(1, 3)}. The answer is {self.generator.randint(1, 3)}." for _ in requests
        ]


def questions(n: int, *, fewest: int, most: int) -> list[dict]:
    """Questions with choices of different number."""
    generator = random.Random(1)
    made = []
    for number in range(n):
        choices = generator.sample(ANIMALS, generator.randint(fewest, most))
        subject = ("legs", "wings")[number % 2]
        made.append({"q": f"Which has {number} {subject}?", "choices": choices, "subject": subject,
                     "answer": generator.randrange(len(choices)), "sure": round(generator.random(), 2)})  # fmt: skip
    return made


def local(name: str, rows: list[dict], folder: Path, **config) -> dict:
    """A task on a file of its own."""
    file = folder / f"{name}.json"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(file)}},
            "test_split": "test", "num_fewshot": 0, "doc_to_text": "{{q}}", **config}  # fmt: skip


def means(*names: str) -> list[dict]:
    """Measures that are averaged."""
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]


def tasks(folder: Path) -> list[dict]:
    """One task for each kind of sample file."""
    choice = {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "answer"}
    regex = {"function": "regex", "regex_pattern": r"The answer is (\d)"}
    loose = {"function": "regex", "regex_pattern": r"(\d)", "group_select": -1}
    first = {"function": "take_first"}
    sums = [{"q": f"{a}+1?", "answer": str(a + 1), "sure": 0.5 + a / 10} for a in (0, 1, 2, 0, 1, 2)]
    return [
        local("animals", questions(24, fewest=2, most=5), folder, **choice, metric_list=means("acc", "acc_norm")),
        local("birds", questions(9, fewest=3, most=3), folder, **choice,
              metric_list=means("acc", "acc_norm", "acc_bytes", "acc_mutual_info")),
        local("several", [{**row, "answer": [0, 1]} for row in questions(3, fewest=3, most=3)], folder, **choice,
              metric_list=means("acc")),
        local("sums", sums, folder, output_type="generate_until", doc_to_target="{{answer}}",
              metric_list=means("exact_match"),
              filter_list=[{"name": "strict-match", "filter": [regex, first]},
                           {"name": "flexible-extract", "filter": [loose, first]}]),
        local("words", [{"q": "a", "answer": "b"}], folder, output_type="loglikelihood", doc_to_target="{{answer}}",
              metric_list=means("acc")),
    ]  # fmt: skip


def main(target: Path) -> None:
    """Evaluate, and write the samples and what the harness prints."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tracker = EvaluationTracker(output_path=folder)
        result = lm_eval.simple_evaluate(
            Drawn(), tasks=tasks(Path(folder)), evaluation_tracker=tracker, bootstrap_iters=0
        )
        tracker.general_config_tracker.model_name_sanitized = "drawn"
        samples = result.pop("samples")
        tracker.save_results_aggregated(results=result, samples=samples)
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
        for file in Path(folder, "drawn").glob("samples_*.jsonl"):
            (target / file.name).write_bytes(file.read_bytes())
    (target / "printed.json").write_text(json.dumps({"lm_eval": lm_eval.__version__, **result["results"]}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

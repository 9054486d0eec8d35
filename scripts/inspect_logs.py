# SPDX-License-Identifier: Apache-2.0
"""Logs of Inspect, written by its own writer: what ``tests/tables/logs`` holds.

Run in an environment of its own, with ``inspect-ai``: ``python scripts/inspect_logs.py FOLDER``. The model is Inspect's
mock, whose answers are made here. What Inspect itself computes is written beside the logs, as ``printed_inspect.json``.
"""

import json
import math
import random
import sys
from importlib.metadata import version
from pathlib import Path

from inspect_ai import Epochs, Task, eval, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.model._model_output import Logprob, Logprobs
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, choice, match, scorer
from inspect_ai.solver import generate, multiple_choice

N = 12


@scorer(metrics=[accuracy()])
def stated():
    """Take the answer and how sure the model says it is: "Paris (80%)"."""

    async def score(state, target):
        answer, _, sure = state.output.completion.rstrip("%)").partition(" (")
        if not sure:
            raise ValueError("no confidence was stated")
        value = CORRECT if answer == target.text else INCORRECT
        return Score(value=value, answer=answer, metadata={"confidence": int(sure) / 100})

    return score


def answers(*, logprobs: bool):
    """What the mock says: a letter with a stated confidence, or an answer whose tokens have probabilities."""
    generator = random.Random(0)

    def answer(*_asked):
        output = make()
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # or it fetches a tokenizer
        return output

    def make():
        text = generator.choice("ABC")
        if not logprobs:
            sure = generator.randint(50, 99)
            return ModelOutput.from_content("mockllm/model", text if sure == 77 else f"{text} ({sure}%)")
        output = ModelOutput.from_content("mockllm/model", f"ANSWER: {text}")
        tokens = [("ANSWER", 0.99), (":", 0.999), (f" {text}", generator.uniform(0.2, 0.95))]
        output.choices[0].logprobs = Logprobs(content=[Logprob(token=t, logprob=math.log(p)) for t, p in tokens])
        return output

    return answer


def samples() -> MemoryDataset:
    """Questions with three choices or four."""
    made = [
        Sample(id=f"q{i}", input=f"Question {i}?", choices=[*["ant", "bee", "cat"][: 2 + i % 2], "dog"],
               target="AB"[i % 2], metadata={"level": ("easy", "hard")[i % 2]})
        for i in range(N)
    ]  # fmt: skip
    return MemoryDataset(made)


@task
def said():
    """Stated confidences, three epochs, an answer without one."""
    return Task(dataset=samples(), solver=generate(), scorer=stated(), epochs=Epochs(3))


@task
def tokens():
    """Multiple choice with the probabilities of tokens."""
    return Task(dataset=samples(), solver=multiple_choice(), scorer=choice())


@task
def plain():
    """Two scores, and nothing that says how sure."""
    return Task(dataset=samples(), solver=generate(), scorer=[match(), match(location="any")])


def main(target: Path) -> None:
    """Write the logs, less what nobody reads, and what Inspect computed."""
    target.mkdir(parents=True, exist_ok=True)
    printed = {"inspect_ai": version("inspect-ai")}
    for make, form, logprobs in (
        (said, "eval", False),
        (tokens, "json", True),
        (tokens, "eval", True),
        (plain, "eval", False),
    ):
        model = get_model("mockllm/model", custom_outputs=answers(logprobs=logprobs), memoize=False)
        where = {"log_dir": str(target / "new"), "log_format": form, "display": "none"}
        (log,) = eval(make(), model=model, fail_on_error=False, max_samples=1, **where)
        name = f"{make.__name__}.{form}"
        log = read_eval_log(log.location)
        log.eval.task_file = None
        for sample in log.samples:  # which are most of a log, and nothing that is read
            sample.events, sample.error_retries = [], []
            if sample.error is not None:
                sample.error.traceback = sample.error.traceback_ansi = ""
        write_eval_log(log, str(target / name), format=form)
        printed[name] = {one.name: one.metrics["accuracy"].value for one in log.results.scores}
        printed[name]["completed"] = log.results.completed_samples
    (target / "printed_inspect.json").write_text(json.dumps(printed, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

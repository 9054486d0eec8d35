# SPDX-License-Identifier: Apache-2.0
import pytest

from adafocal.integrations.rewards import (
    brier_reward,
    correctness_reward,
    same_answer,
    stated_answer,
    stated_confidence,
)

READ = {
    "0.8": 0.8, " 0.8 ": 0.8, ".8": 0.8, "1": 1.0, "1.": 1.0, "0": 0.0, "80%": 0.8, "80 %": 0.8, "80 Percent": 0.8,
    "0.5 %": 0.005, "100%": 1.0,
}  # fmt: skip
REFUSED = [
    "",
    "high",
    "0.8 or 0.9",
    "0.8/1",
    "80",
    "1.01",
    "101 %",
    "-0.2",
    "8e-1",
    "nan",
    "inf",
    "0,8",
    "~0.8",
    "0.8.",
]


@pytest.mark.parametrize("text", READ)
def test_a_confidence_in_its_tag_is_read(text):
    assert stated_confidence(f"<answer>x</answer> <Confidence>{text}</confidence>.") == pytest.approx(READ[text])
    assert stated_confidence(f"<p>{text}</p>", tag="p") == pytest.approx(READ[text])


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_single_number_in_range_is_refused(text):
    assert stated_confidence(f"<confidence>{text}</confidence>") is None


@pytest.mark.parametrize(
    "text",
    [
        "0.8",
        "<confidence>0.8",
        "0.8</confidence>",
        "</confidence>0.8<confidence>",
        "<confidence>0.8</confidence><confidence>0.8</confidence>",
        "<confidence>0.8</confidence> or <confidence>0.9",
        "<confidence><confidence>0.8</confidence></confidence>",
    ],
)
def test_not_exactly_one_tag_is_refused(text):
    assert stated_confidence(text) is None
    assert stated_answer(text, tag="confidence") is None


def test_answers_are_compared_but_for_case_and_space():
    assert stated_answer("so <answer>\n New  York </answer>") == "New  York"
    assert same_answer("New  York", " new york")
    assert not same_answer("New York", "York")


ANSWERS = [
    "<answer>4</answer><confidence>0.9</confidence>",
    "<answer>5</answer><confidence>90 %</confidence>",
    "<answer>4</answer>",
    "<confidence>0.25</confidence>",
    "",
]
CONVERSATIONS = [[{"role": "assistant", "content": answer}] for answer in ANSWERS]


@pytest.mark.parametrize("completions", [ANSWERS, CONVERSATIONS], ids=["plain", "conversational"])
def test_rewards_are_those_of_the_paper(completions):
    given = {"solution": ["4"] * 5, "prompts": ["2 + 2"] * 5, "trainer_state": None}

    assert correctness_reward(completions=completions, **given) == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert brier_reward(completions=completions, **given) == pytest.approx([-0.01, -0.81, -1.0, -0.0625, -1.0])
    assert brier_reward(completions=completions, unstated=-0.5, **given)[2::2] == [-0.5, -0.5]


def test_the_last_message_counts_and_a_call_of_a_tool_says_nothing():
    talk = [{"role": "assistant", "content": ANSWERS[1]}, {"role": "assistant", "content": ANSWERS[0]}]
    silent = [{"role": "assistant", "content": None, "tool_calls": []}]

    assert correctness_reward([talk, silent], ["4", "4"]) == [1.0, 0.0]
    assert brier_reward([silent], ["4"]) == [-1.0]


def test_an_own_comparison_is_used_by_both():
    def same(answer, solution):
        return float(answer) == float(solution)

    completions = ["<answer>4.0</answer><confidence>1</confidence>"]

    assert correctness_reward(completions, [4], same=same) == [1.0]
    assert brier_reward(completions, [4], same=same) == [0.0]
    assert brier_reward(completions, [4]) == [-1.0]


def test_the_sum_is_highest_for_the_true_confidence():
    """Of a question that is answered right six times in ten, a confidence of 0.6 earns most."""
    solutions = ["4"] * 6 + ["5"] * 4

    def earned(confidence):
        said = [f"<answer>4</answer><confidence>{confidence}</confidence>"] * 10
        return sum(correctness_reward(said, solutions)) + sum(brier_reward(said, solutions))

    assert max([0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0], key=earned) == 0.6


def test_wrong_inputs_are_told_in_one_sentence(rejects):
    with rejects(TypeError, "`text` must be a string, got 3."):
        stated_confidence(3)
    with rejects(TypeError, "`completions` must hold texts, or messages whose `content` is a text, got 3."):
        correctness_reward([3], ["4"])
    with rejects(ValueError, "`solution` must hold one answer per completion, 1, got 2."):
        correctness_reward(["4"], ["4", "5"])
    with rejects(ValueError, "`unstated` must be a number in [-1, 0], got 0.5."):
        brier_reward(["4"], ["4"], unstated=0.5)

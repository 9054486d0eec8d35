# SPDX-License-Identifier: Apache-2.0
"""Coverage of the intervals of `adafocal compare`: how often they hold the true difference, and wrong verdicts.

    python benchmarks/compare_coverage.py [--repeats 1000] [--seed 0] [--settings "sharp" ...]

Each setting draws rows with the answers of two models; the true difference is that of 4 million rows, of the ECE in
bins of equal mass without debiasing. In brackets stand the percent of intervals that lie below the truth and above it.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as replaced

import torch
from torch import Tensor

import adafocal
from adafocal import Outcomes
from adafocal.calibration import expected_calibration_error
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.calibration.rows import Sampling, rows_of
from adafocal.evaluation.compare import corrected, difference
from adafocal.evaluation.comparison import BETTER, WORSE
from adafocal.evaluation.differences import LEVEL, Side, contrast, ends_of
from adafocal.measures import OF_COMPARISON

TRUTH = 20, 200_000
Drawn = dict[str, dict[str, Tensor]]


def normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, dtype=torch.float64, generator=generator)


def broad(z: Tensor) -> Tensor:
    """Confidences spread evenly over [0.5, 1]."""
    return 0.5 + 0.5 * torch.special.ndtr(z)


def sharp(z: Tensor) -> Tensor:
    """Confidences of an accurate classifier: half above 0.95."""
    return torch.sigmoid((3.0 + 1.8 * z).abs())


def too_sure(confidence: Tensor) -> Tensor:
    """The same with logits half as large again."""
    return torch.sigmoid(1.5 * torch.logit(confidence.clamp(0.5, 1 - 1e-9)))


def answers(confidence: Tensor, chance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    luck = torch.rand(len(chance), dtype=torch.float64, generator=generator)
    return {"confidence": confidence, "correct": luck < chance}


def before_and_after(n: int, generator: torch.Generator, spread: Callable[[Tensor], Tensor] = broad) -> Drawn:
    """The same answers, over-confident and calibrated."""
    p = spread(normal(n, generator))
    before = answers(too_sure(p), p, generator)
    return {"a": before, "b": {**before, "confidence": p}}


def two_models(n: int, generator: torch.Generator, gap: float = 0.0, second_gap: float = 0.0) -> Drawn:
    """Answers of two models that find the same rows hard, each over-confident by a gap."""
    z = normal(n, generator)
    p, q = broad(z), broad(0.7 * z + 0.714 * normal(n, generator))
    return {"a": answers(p, p - gap, generator), "b": answers(q, q - second_gap, generator)}


def half_off(n: int, generator: torch.Generator) -> Drawn:
    """One model is over-confident where it is sure alone, the other nowhere."""
    z = normal(n, generator)
    p, q = broad(z), broad(0.8 * z + 0.6 * normal(n, generator))
    return {"a": answers(p, torch.where(p > 0.75, p - 0.08, p), generator), "b": answers(q, q, generator)}


def wave(n: int, generator: torch.Generator) -> Drawn:
    """The same answers, too sure here and too little there, or too sure everywhere."""
    z = normal(n, generator)
    p = 0.5 + 0.4 * torch.special.ndtr(z)
    first = answers(p + 0.05 * torch.sin(2 * torch.pi * torch.special.ndtr(z)), p, generator)
    return {"a": first, "b": {**first, "confidence": p + 0.05}}


def clusters(n: int, generator: torch.Generator) -> Drawn:
    """Rows of 20 share a part of their logit that neither model sees; the second is a little worse, and too sure."""
    cluster = torch.arange(n // 20).repeat_interleave(20)
    shared = normal(n // 20, generator)[cluster]
    logit = 0.5 + normal(n, generator)
    first = answers(logit.sigmoid(), (logit + shared).sigmoid(), generator)
    second = answers((1.5 * logit).sigmoid(), (0.8 * logit + shared).sigmoid(), generator)
    return {name: {**one, "cluster": cluster} for name, one in (("a", first), ("b", second))}


def weighted(n: int, generator: torch.Generator) -> Drawn:
    """Rows whose weights are exponential."""
    heavy = torch.empty(n, dtype=torch.float64).exponential_(generator=generator)
    return {name: {**one, "weight": heavy} for name, one in two_models(n, generator, 0.05, 0.0).items()}


@dataclass(frozen=True)
class Setting:
    """What is drawn, how many rows, and whether rows are matched."""

    name: str
    draw: Callable[[int, torch.Generator], Drawn]
    n: int
    paired: bool = True


def settings() -> list[Setting]:
    found = []
    for n in (200, 1000, 5000):
        found += [
            Setting("over-confident and scaled", before_and_after, n),
            Setting("the same, sharp", lambda n, g: before_and_after(n, g, sharp), n),
            Setting("gaps 0.1 and 0.02", lambda n, g: two_models(n, g, 0.1, 0.02), n),
            Setting("both calibrated", two_models, n),
            Setting("half of it off", half_off, n),
            Setting("wave and shift", wave, n),
        ]
    found += [
        Setting("50 clusters of 20", clusters, 1000),
        Setting("250 clusters of 20", clusters, 5000),
        Setting("weights", weighted, 1000),
        Setting("weights", weighted, 5000),
        Setting("gaps 0.1 and 0.02, unpaired", lambda n, g: two_models(n, g, 0.1, 0.02), 1000, paired=False),
        *(Setting("few rows", lambda n, g: two_models(n, g, 0.1, 0.02), n) for n in (10, 20, 50)),
    ]
    return found


def truth(setting: Setting, generator: torch.Generator) -> dict[str, float]:
    """The differences of very many rows, each drawn for itself; of the ECE as it is, without debiasing."""
    total = dict.fromkeys(OF_COMPARISON, 0.0)
    rounds, n = TRUTH
    for _ in range(rounds):
        held = [replace(Outcomes(**one), cluster=None) for one in setting.draw(n, generator).values()]
        base, side = map(side_of, held)
        for name in OF_COMPARISON:
            total[name] += (side.measures[name].value - base.measures[name].value) / rounds
        plain = [
            expected_calibration_error(one.confidence, one.correct, binning="equal_mass", sample_weight=one.weight)
            for one in held
        ]
        debiased = side.measures[ECE_DEBIASED.name].value - base.measures[ECE_DEBIASED.name].value
        total[ECE_DEBIASED.name] += (float(plain[1] - plain[0]) - debiased) / rounds
    return total


def side_of(outcomes: Outcomes) -> Side:
    """What is compared."""
    return Side.of(rows_of(outcomes), Sampling.of(outcomes), n_bins=15)


def replace(outcomes: Outcomes, *, cluster: None) -> Outcomes:
    """The same without clusters."""
    return Outcomes(confidence=outcomes.confidence, correct=outcomes.correct, weight=outcomes.weight, cluster=cluster)


def covers_without_room(base: Side, side: Side, true: float, *, paired: bool) -> bool:
    """Tell whether an interval of the debiased error holds that knows nothing of its bias, as a bootstrap's."""
    name = ECE_DEBIASED.name
    if base.measures[name].why or side.measures[name].why:
        return False
    low, high = replaced(contrast(name, base, side, paired=paired), below=0.0, above=0.0).ends(LEVEL)
    return low <= true <= high


def drawn(setting: Setting, generator: torch.Generator) -> list[Side]:
    """One data set of the setting; rows of the second model are others where they are not matched."""
    found = setting.draw(setting.n, generator)
    if not setting.paired:
        found["b"] = setting.draw(setting.n, generator)["b"]
    return [side_of(Outcomes(**one)) for one in found.values()]


def wrong_verdicts(repeats: int, seed: int) -> None:
    """Print how often one of two models that are equally good is called better or worse, in anything at all."""
    print("\n| equally good models | N | a verdict in any measure |\n|---|--:|--:|")
    for place, (gap, n) in enumerate([(0.0, 200), (0.0, 1000), (0.1, 200), (0.1, 1000)]):
        generator = torch.Generator().manual_seed(1000 * seed + 500 + place)
        setting, wrong = Setting("", lambda n, g, gap=gap: equals(n, g, gap), n), 0
        for _ in range(repeats):
            base, side = drawn(setting, generator)
            found = {"b": {name: difference(name, base, side, paired=True) for name in OF_COMPARISON}}
            verdicts = {one.verdict for one in corrected(found)[0]["b"].values()}
            wrong += bool(verdicts & {BETTER, WORSE})
        print(f"| gap {gap:g} | {n:,} | {100 * wrong / repeats:.1f} % |", flush=True)


def equals(n: int, generator: torch.Generator, gap: float) -> Drawn:
    """Answers of two models of which neither is better."""
    shared, *own = (normal(n, generator) for _ in range(3))
    both = [broad(0.8 * shared + 0.6 * one) for one in own]
    return {name: answers(p, p - gap, generator) for name, p in zip("ab", both, strict=True)}


def main() -> None:
    """Print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="data sets per setting")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--settings", nargs="+", default=None, help="names of settings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    print(
        f"adafocal {adafocal.__version__}, torch {torch.__version__}, seed {options.seed}, {options.repeats} repeats\n"
    )
    headings = [*OF_COMPARISON, "debiased ECE without room for its bias"]
    print(f"| setting | N | {' | '.join(headings)} |\n|---|--:|{'--:|' * len(headings)}")
    for place, setting in enumerate(settings()):
        if options.settings is not None and setting.name not in options.settings:
            continue
        # Each setting has a seed of its own, so that a part of the table can be simulated alone.
        generator = torch.Generator().manual_seed(1000 * options.seed + place)
        true = truth(setting, generator)
        below, above, none = (dict.fromkeys(OF_COMPARISON, 0) for _ in range(3))
        plain = 0
        for _ in range(options.repeats):
            base, side = drawn(setting, generator)
            for name in OF_COMPARISON:
                if base.measures[name].why or side.measures[name].why:
                    none[name] += 1
                    continue
                low, high = ends_of(name, base, side, paired=setting.paired)(LEVEL)
                below[name] += high < true[name]
                above[name] += low > true[name]
            plain += covers_without_room(base, side, true[ECE_DEBIASED.name], paired=setting.paired)
        cells = []
        for name in OF_COMPARISON:
            known = max(1, options.repeats - none[name])
            shares = [100 * of[name] / known for of in (below, above)]
            told = f", none {100 * none[name] / options.repeats:.0f}" if none[name] else ""
            cells.append(f"{100 - sum(shares):.1f} ({shares[0]:.1f}, {shares[1]:.1f}{told})")
        cells.append(f"{100 * plain / options.repeats:.1f}")
        print(f"| {setting.name} | {setting.n:,} | {' | '.join(cells)} |", flush=True)
    if options.settings is None:
        wrong_verdicts(2 * options.repeats, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

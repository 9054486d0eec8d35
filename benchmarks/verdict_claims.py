# SPDX-License-Identifier: Apache-2.0
"""How often the verdict and the remedy claim too much of calibrated models, and how often they find a stated gap.

python benchmarks/verdict_claims.py --repeats 2000

Prints per setting the share of simulated calibrated models that are called miscalibrated (at most 5 %), the share of
models over-confident by the stated gap that are found, and whether so few samples are called too few; then the share of
calibrated models for which a scaling is recommended.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from adafocal import Outcomes, Predictions
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.judge import STATED_GAP, judge
from adafocal.calibration.stream import sums_in_memory
from adafocal.calibration.verdict import Verdict
from adafocal.scaling.remedy import find_remedy

SETTINGS: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "even over 0 to 1": lambda n, source: torch.rand(n, generator=source),
    "even over 0.5 to 1": lambda n, source: 0.5 + 0.5 * torch.rand(n, generator=source),
    "most near 1": lambda n, source: torch.rand(n, generator=source) ** 0.2,
    "all above 0.99": lambda n, source: 1 - 0.01 * torch.rand(n, generator=source),
    "always 0.9": lambda n, _: torch.full((n,), 0.9),
}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="Simulated models per setting.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1000, 5000], help="Numbers of samples.")
    parser.add_argument("--remedies", type=int, default=200, help="Simulated models per setting of the remedy.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'confidence':<20} {'n':>6} {'wrong claims %':>15} {'found %':>8} {'too few':>8}")
    for name, draw in SETTINGS.items():
        for n in options.sizes:
            wrong, found, few = claims(draw, n, options.repeats)
            print(f"{name:<20} {n:>6} {100 * wrong:>15.1f} {100 * found:>8.1f} {'yes' if few else 'no':>8}", flush=True)
    print(f"\n{'classes':<20} {'n':>6} {'recommended though calibrated %':>32}")
    for n_classes in (2, 3, 10):
        for n in (100, 600, 2000):
            share = sum(recommended(n, n_classes, seed) for seed in range(options.remedies)) / options.remedies
            print(f"{n_classes:<20} {n:>6} {100 * share:>32.1f}", flush=True)


def claims(draw: Callable[[int, torch.Generator], Tensor], n: int, repeats: int) -> tuple[float, float, bool]:
    """Share of calibrated models claimed not to be, of over-confident ones (a fourth as many) found, and the power."""
    wrong = found = few = 0
    for seed in range(repeats):
        source = torch.Generator().manual_seed(seed)
        confidence = draw(n, source).double()
        chance = torch.rand(n, generator=source, dtype=torch.float64)
        wrong += verdict(confidence, chance < confidence).miscalibrated
        if seed < repeats // 4:
            gap = verdict(confidence, chance < confidence - STATED_GAP)
            found += gap.miscalibrated
            few += gap.detectable > STATED_GAP
    return wrong / repeats, found / (repeats // 4), few > repeats // 8


def verdict(confidence: Tensor, correct: Tensor) -> Verdict:
    """Judge outcomes without the measures that the verdict does not need."""
    sums = sums_in_memory(Outcomes(confidence=confidence, correct=correct), n_bins=15)
    names = ("overconfidence", "rms_debiased", "p_calibrated")
    values: dict[str, object] = {name: float(CATALOGUE[name].compute(sums)) for name in names}
    return judge(sums, {**values, "overconfidence_interval": (0.0, 0.0), "rms_interval": (0.0, 0.0)})


def recommended(n: int, n_classes: int, seed: int) -> bool:
    """Tell whether a scaling is recommended for a model whose probabilities are true."""
    source = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=source)
    labels = torch.multinomial(logits.softmax(1), 1, generator=source)[:, 0]
    return find_remedy(Predictions(logits=logits, labels=labels)).chosen is not None


if __name__ == "__main__":
    main()

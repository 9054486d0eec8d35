# SPDX-License-Identifier: Apache-2.0
"""What every classification loss shares: the options of ``nn.CrossEntropyLoss``, carried and documented once."""

import inspect
from collections.abc import Callable
from functools import partial, reduce, wraps
from operator import or_
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from adafocal._docs import completed, described
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample, Targets
from adafocal.losses.cross_entropy import modulated_cross_entropy, output_dtype, wide_cross_entropy
from adafocal.losses.entries import Entries, check_sigmoid, entries_of, weighted_entries
from adafocal.losses.options import check_options
from adafocal.losses.reduced import Reduced, WithSlope, is_plain
from adafocal.losses.reduction import reduce_losses, sample_weights

Function = TypeVar("Function", bound=Callable[..., Tensor])
INPUTS = {
    "logits": "Shape (C,), (N, C) or (N, C, d1, …).",
    "labels": "Class indices of shape (), (N,) or (N, d1, …), or class probabilities of the shape of ``logits``; with "
    "``sigmoid`` what it says.",
}
OPTIONS = {
    "weight": "Weight per class, shape (C,).",
    "ignore_index": "Class index whose samples do not count, and have loss 0.",
    "reduction": "``none``, ``mean`` or ``sum``.",
    "label_smoothing": "Share of the target spread evenly over the classes, in [0, 1].",
    "sigmoid": "Whether each logit is one of a sigmoid and has a target of its own, for one label per sample or many: "
    "logits (N,), (N, L) or (N, L, d1, …), and as labels 0 or 1, booleans, or probabilities in [0, 1], of their shape. "
    "``ignore_index`` then marks entries that do not count, and ``mean`` divides by the number of the others. "
    "Each entry is a problem of two classes, with the logits (0, z).",
    "pos_weight": "With ``sigmoid``, the factor of the loss of positives, a number or shape (L,), finite and >= 0; it "
    "does not enter what ``mean`` divides by, as in ``nn.BCEWithLogitsLoss``.",
}
COMPUTED = {"per_sample", "cross_entropy", "sample_weights", "modulated", "reduced", "options"}
PLAIN: dict[str, Any] = {"weight": None, "ignore_index": -100, "label_smoothing": 0.0}
OF_ENTRIES = ("sigmoid", "pos_weight")
OF_MODULES = {"Raises": "TypeError: If a setting is of the wrong type.\n    ValueError: If a setting is out of range."}
OF_FUNCTIONS = {
    "Returns": "Losses in nats of shape (), (N,) or (N, d1, …), at least 0; lower is better.",
    "Raises": "TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.\n"
    "    ValueError: If shapes do not fit or an option is out of range.",
}


class SampleOptions(TypedDict, total=False):
    """What a function that gives the loss of each sample takes besides its own settings, for type checkers."""

    weight: Tensor | None
    ignore_index: int
    label_smoothing: float


class EntryOptions(SampleOptions, total=False):
    """What a public function takes that gives the loss of each sample, or with ``sigmoid`` of each entry."""

    sigmoid: bool
    pos_weight: Tensor | float | None


class OtherOptions(TypedDict, total=False):
    """What the constructor of a loss takes besides ``weight`` and its own settings, for type checkers."""

    ignore_index: int
    reduction: str
    label_smoothing: float
    sigmoid: bool
    pos_weight: Tensor | float | None


class LossOptions(OtherOptions, total=False):
    """What the constructor of a loss takes besides its own settings, for type checkers."""

    weight: Tensor | None


class ClassificationLoss(nn.Module):
    """A loss that takes what ``nn.CrossEntropyLoss`` takes, and reduces as it does.

    ``weight`` comes first, as there; all else is given by name. A subclass gives ``per_sample(logits, labels)``, which
    returns weighted losses of the shape of the labels. One with settings of its own takes ``weight`` first, ends its
    constructor's arguments with ``**options: Unpack[OtherOptions]``, and hands both on.
    """

    weight: Tensor | None
    pos_weight: Tensor | None
    sigmoid: bool = False  # of losses that were pickled before there was one
    has_slope: ClassVar[bool] = False  # whether `with_slope` is that of what this class computes
    linear: ClassVar[bool] = False  # whether the loss of a soft target is the mean of those of its classes
    sigmoid_undefined: ClassVar[str | None] = None  # why it has no meaning for two classes, if it has none

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        sigmoid: bool = False,
        pos_weight: Tensor | float | None = None,
    ) -> None:
        super().__init__()
        check_options(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        positive = check_sigmoid(
            sigmoid,
            pos_weight,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            undefined=self.sigmoid_undefined,
        )
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", positive)
        self.sigmoid = sigmoid
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def __init_subclass__(cls) -> None:
        """Let signature and documentation name the parent's arguments that ``**options`` stands for."""
        super().__init_subclass__()
        if not vars(cls).get("has_slope") and not COMPUTED.isdisjoint(vars(cls)):
            cls.has_slope = False
        if "__init__" in vars(cls):
            parent = super(cls, cls).__init__
            without = () if cls.sigmoid_undefined is None else OF_ENTRIES
            cls.__init__.__signature__ = _spelled_out(cls.__init__, *without, of=parent)  # type: ignore[attr-defined]
        shared = reduce(or_, (described(parent.__doc__) for parent in reversed(cls.__mro__[1:])), OPTIONS)
        cls.__doc__ = completed(cls.__doc__, inspect.signature(cls).parameters, shared, OF_MODULES)

    @property
    def options(self) -> dict[str, Any]:
        """The options that a function of single samples takes."""
        return {"weight": self.weight, "ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        raise NotImplementedError

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses of samples and their derivative; see :class:`~adafocal.losses.reduced.Reduced`."""
        raise NotImplementedError

    def forward(self, logits: Logits, labels: Labels) -> Tensor:
        """Compute the loss, reduced as ``reduction`` says."""
        return self._over_entries(logits, labels) if self.sigmoid else self.over_classes(logits, labels)

    def unreduced(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample, or with ``sigmoid`` of each entry, weighted and 0 where it is ignored."""
        if not self.sigmoid:
            return self.per_sample(logits, labels)
        losses = self._of_entries(entries_of(logits, labels, ignore_index=self.ignore_index))
        return losses.to(output_dtype(logits))

    def over_classes(self, logits: Logits, labels: Labels) -> Tensor:
        """Compute the reduced loss of logits of classes."""
        if self.in_one_step(logits, labels):
            return self.one_step(self.with_slope, self._formula, logits, labels)
        return self._formula(logits, labels)

    def _over_entries(self, logits: Logits, targets: Targets) -> Tensor:
        entries = entries_of(logits, targets, ignore_index=self.ignore_index)
        if self.reduction != "none" and self.pos_weight is None and entries.ignored is None:
            return self.over_classes(entries.logits, entries.labels)
        counted, losses = targets != self.ignore_index, self._of_entries(entries)
        loss = reduce_losses(losses, counted, weight=None, ignore_index=0, reduction=self.reduction)
        return loss.to(output_dtype(logits))

    def _of_entries(self, entries: Entries) -> PerSample:
        return weighted_entries(entries, self.per_sample, pos_weight=self.pos_weight, linear=self.linear)

    def _formula(self, logits: Logits, labels: Labels) -> Tensor:
        return self.reduced(self.per_sample(logits, labels), labels)

    def in_one_step(self, logits: Logits, labels: Labels) -> bool:
        """Whether this is a step of training that one function can take, from the logits to the reduced loss."""
        return (
            self.has_slope
            and torch.is_grad_enabled()
            and self._buffers["weight"] is None
            and self.reduction != "none"
            and not self.label_smoothing
            and is_plain(logits, labels)
            and logits.requires_grad
        )

    def one_step(
        self, with_slope: WithSlope, formula: Callable[[Logits, Labels], Tensor], logits: Logits, labels: Labels
    ) -> Tensor:
        """Compute the reduced loss by :class:`~adafocal.losses.reduced.Reduced`."""
        mean = self.reduction == "mean"
        step = Reduced(with_slope, lambda x: formula(x, labels), labels, ignore_index=self.ignore_index, mean=mean)
        loss, dtype = step(at_least_float32(logits)), output_dtype(logits)
        return loss if loss.dtype is dtype else loss.to(dtype)

    def cross_entropy(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the weighted cross-entropy of each sample, in float32 or wider."""
        return wide_cross_entropy(logits, labels, **self.options)

    def sample_weights(self, logits: Logits, labels: Labels) -> Tensor:
        """Say how much each sample counts: its class's weight, 0 where it is ignored."""
        return sample_weights(logits, labels, weight=self.weight, ignore_index=self.ignore_index)

    def modulated(self, modulate: Callable[[Tensor], Tensor], logits: Logits, labels: Labels) -> PerSample:
        """Apply ``modulate`` to the cross-entropy of each sample; see :func:`modulated_cross_entropy`."""
        return modulated_cross_entropy(modulate, logits, labels, **self.options)

    def reduced(self, losses: PerSample, labels: Labels) -> Tensor:
        """Reduce as ``reduction`` says; see :func:`reduce_losses`."""
        return reduce_losses(
            losses, labels, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        """Show the settings, as ``name=value`` pairs."""
        hidden = {"training", *(() if self.sigmoid else ("sigmoid",))}
        shown = {name: value for name, value in vars(self).items() if not name.startswith("_") and name not in hidden}
        return ", ".join(f"{name}={value}" for name, value in shown.items())


def per_sample_loss(function: Function, *, linear: bool = False) -> Function:
    """Let signature and documentation of a function name what every function of single samples takes and gives.

    It then takes ``sigmoid`` and ``pos_weight`` as well, of which it need not know.
    """

    @wraps(function)
    def losses(logits: Any, labels: Any, *, sigmoid: bool = False, pos_weight: Any = None, **settings: Any) -> Any:
        if sigmoid is False and pos_weight is None:
            return function(logits, labels, **settings)
        plain = {name: settings.get(name, value) for name, value in PLAIN.items()}
        check_options(**plain)
        positive = check_sigmoid(sigmoid, pos_weight, **plain)
        entries = entries_of(logits, labels, ignore_index=plain["ignore_index"])

        def losses_of(both: Tensor, answers: Tensor) -> Tensor:
            return function(both, answers, **_at_places(settings, logits, len(both)))

        each = weighted_entries(entries, losses_of, pos_weight=positive, linear=linear)
        return each.to(output_dtype(logits))

    signature = _spelled_out(function, "self", "reduction", of=ClassificationLoss.__init__)
    added = [inspect.signature(ClassificationLoss.__init__).parameters[name] for name in OF_ENTRIES]
    missing = [option for option in added if option.name not in signature.parameters]
    signature = signature.replace(parameters=[*signature.parameters.values(), *missing])
    losses.__signature__ = signature  # type: ignore[attr-defined]
    losses.__doc__ = completed(function.__doc__, signature.parameters, INPUTS | OPTIONS, OF_FUNCTIONS)
    return cast(Function, losses)


linear_loss = partial(per_sample_loss, linear=True)  # that of a soft target is the mean of those of its classes


def _at_places(settings: dict[str, Any], logits: Tensor, n_images: int) -> dict[str, Any]:
    """Give settings that have a value per entry the shape of labels of so many images."""
    each = {name: value for name, value in settings.items() if isinstance(value, Tensor) and value.ndim > 0}
    spread = {name: value.expand(n_images, *value.shape) for name, value in each.items() if value.shape == logits.shape}
    return {**settings, **spread}


def _spelled_out(function: Callable[..., Any], *without: str, of: Callable[..., Any]) -> inspect.Signature:
    """Put the parameters of the constructor ``of`` in the place of ``**options``.

    Python keeps names and defaults apart from ``**options``, yet ``help``, the documentation and
    :func:`~adafocal.losses.make_loss`, which refuses what is not in a signature, must see every name.
    """
    shared = inspect.signature(of).parameters.values()
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        named = {*signature.parameters, *without}
        parameters[-1:] = [
            option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in shared if option.name not in named
        ]
    return signature.replace(parameters=parameters)

# SPDX-License-Identifier: Apache-2.0
"""What every loss of the catalogue promises."""

import ast
import copy
import dataclasses
import importlib
import inspect
import io
import math
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import adafocal
from adafocal.losses import LOSSES, LossSpec, make_loss
from adafocal.losses.base import ClassificationLoss
from adafocal.losses.catalogue import add_loss

ALL = sorted(LOSSES)
NAMES = [name for name in ALL if not LOSSES[name].dense]  # losses of images alone are tested with themselves
OURS = [name for name in NAMES if issubclass(LOSSES[name].cls, ClassificationLoss)]
SOFT = [name for name in NAMES if LOSSES[name].soft_labels]
POINTWISE = [name for name in NAMES if LOSSES[name].pointwise]
SHAPES = [(4,), (6, 4), (3, 4, 2), (2, 4, 3, 2)]
BIG = [0.0, 1e-6, 1.0, 30.0, 100.0, 1e4]

every_loss = pytest.mark.parametrize("name", NAMES)


def labels_for(shape):
    return torch.randint(4, () if len(shape) == 1 else shape[:1] + shape[2:])


def batch(shape=(8, 4), dtype=torch.float64):
    return torch.randn(shape, dtype=dtype), labels_for(shape)


def value_and_grad(criterion, logits, labels):
    logits = logits.detach().clone().requires_grad_()
    loss = criterion(logits, labels)
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


def sources():
    """Give the parsed files of the losses, which say what the catalogue must hold without being run."""
    return [ast.parse(path.read_text("utf-8")) for path in sorted(Path(adafocal.losses.__file__).parent.glob("*.py"))]


def test_catalogue_holds_what_the_files_enter_and_every_class_they_define():
    nodes = [node for tree in sources() for node in tree.body]
    calls = [node.value for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    entered = [
        next(ast.literal_eval(given.value) for given in call.keywords if given.arg == "name")
        for call in calls
        if ast.unparse(call.func) == "add_loss"
    ]
    classes = {
        node.name
        for node in nodes
        if isinstance(node, ast.ClassDef)
        and {"ClassificationLoss", "FocalFamily", "AdaFocalLoss", "PenalisedLoss"} & {*map(ast.unparse, node.bases)}
    } - {"FocalFamily", "PenalisedLoss"}

    assert sorted(entered) == ALL, "one line per file of losses in losses/__init__.py"
    assert classes == {LOSSES[name].cls.__name__ for name in ALL} - {"CrossEntropyLoss"}, "add_loss(...) in its file"
    assert {"cross_entropy", "label_smoothing"} == set(NAMES) - set(OURS)
    assert set(ALL) - set(NAMES) >= {"topology_aware_focal"}
    assert set(NAMES) - set(SOFT) >= {"mmce"}
    assert set(NAMES) - set(POINTWISE) >= {"aurc", "mmce", "selective_au"}


def test_page_has_one_row_for_each_loss():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")

    assert page.split("<!-- end -->")[0].count("\n| `") == len(LOSSES), "python scripts/generated.py"


@pytest.mark.parametrize("name", [name for name in ALL if issubclass(LOSSES[name].cls, ClassificationLoss)])
def test_loss_has_a_test_of_its_own(name):
    texts = [path.read_text("utf-8") for path in (Path(__file__).parents[1] / "losses").glob("test_*.py")]
    public = importlib.import_module(LOSSES[name].cls.__module__).__all__

    assert any(f"{called}(" in text for called in public for text in texts), "tests/losses/test_NAME.py"


def test_a_loss_cannot_take_the_name_of_another(rejects):
    with rejects(ValueError, "`name` must be new to the catalogue of losses, got 'focal'."):
        add_loss(**{field.name: getattr(LOSSES["focal"], field.name) for field in dataclasses.fields(LossSpec)})


@every_loss
def test_catalogue_says_whether_a_sample_is_judged_alone(name):
    logits, labels = batch()
    criterion = make_loss(name, {"reduction": "none"}).eval()
    others = torch.cat([logits[:1], 3 * logits[1:]])

    assert torch.allclose(criterion(logits, labels)[0], criterion(others, labels)[0]) == LOSSES[name].pointwise


@every_loss
def test_catalogue_says_whether_a_part_is_constant_to_the_gradient(name):
    logits, labels = batch((5, 4))
    criterion = make_loss(name).eval()
    exact = torch.autograd.gradcheck(lambda z: criterion(z, labels), logits.requires_grad_(), raise_exception=False)

    assert exact != LOSSES[name].detached


@pytest.mark.parametrize("name", sorted(set(ALL) - set(NAMES)))
def test_catalogue_says_whether_a_loss_is_of_images_alone(name):
    with pytest.raises(adafocal.AdafocalError, match=r"shape \(N, C, d1\)"):
        make_loss(name)(*batch())


@pytest.mark.parametrize("name", OURS)
def test_constructor_shows_the_shared_options_and_takes_no_other(name):
    weight, *shared = inspect.signature(ClassificationLoss).parameters.values()
    cls = LOSSES[name].cls
    if cls.sigmoid_undefined:
        shared = shared[:-2]

    for parameters in (
        list(inspect.signature(cls).parameters.values()),
        list(inspect.signature(cls.__init__).parameters.values())[1:],
    ):
        assert [parameters[0], *parameters[-len(shared) :]] == [weight, *shared]
    with pytest.raises(TypeError, match="unexpected keyword argument 'weigth'"):
        cls(weigth=torch.ones(4))


@pytest.mark.parametrize("name", ALL)
def test_entry_says_what_people_need(name):
    spec = LOSSES[name]
    assert spec.name == name
    assert spec.title
    assert spec.formula
    assert spec.use.endswith(".")
    assert 1950 <= spec.year <= 2026
    assert str(spec.year) in spec.paper or "arXiv" in spec.paper or spec.cls is torch.nn.CrossEntropyLoss


@pytest.mark.parametrize("name", ALL)
def test_page_about_losses_says_the_same_as_the_catalogue(name):
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
    spec = LOSSES[name]
    formula = spec.formula.replace("|", "&#124;")
    assert f"| `{name}` | {formula} | {spec.use} | {spec.paper} |" in page


@pytest.mark.parametrize("name", [name for name in ALL if issubclass(LOSSES[name].cls, ClassificationLoss)])
def test_class_is_public_and_documented_in_full(name):
    cls = LOSSES[name].cls
    assert getattr(adafocal, cls.__name__) is cls
    assert getattr(adafocal.losses, cls.__name__) is cls
    for section in ("Args:", "Raises:", "Example:", "Reference:", "https://"):
        assert section in cls.__doc__, section
    weight, *settings = inspect.signature(cls).parameters.values()
    assert (weight.name, weight.kind) == ("weight", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for option in settings:
        assert option.kind is inspect.Parameter.KEYWORD_ONLY
    for option in (weight, *settings):
        assert f"{option.name}:" in cls.__doc__


@pytest.mark.parametrize("name", ALL)
def test_weights_come_first_as_in_cross_entropy(name, rejects):
    cls, weight = LOSSES[name].cls, torch.tensor([0.5, 1.0, 2.0, 3.0])

    assert torch.equal(cls(weight).weight, weight)
    if issubclass(cls, ClassificationLoss):
        with rejects(TypeError, "`weight` must be a floating-point tensor, got 2.0: other settings are given by name."):
            cls(2.0)
        with pytest.raises(TypeError, match="positional argument"):
            cls(weight, 2.0)


@every_loss
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_are_those_of_cross_entropy(name, shape):
    logits, labels = batch(shape)
    for reduction in ("none", "mean", "sum"):
        loss = make_loss(name, {"reduction": reduction})(logits, labels)
        expected = F.cross_entropy(logits, labels, reduction=reduction)
        assert loss.shape == expected.shape
        assert loss.dtype == logits.dtype
        assert loss.isfinite().all()


@every_loss
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_divides_the_sum_as_cross_entropy_does(name, shape, weighted):
    logits, labels = batch(shape)
    labels[0] = -5
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64) if weighted else None
    options = {"weight": weight, "ignore_index": -5}
    none, mean, total = (
        make_loss(name, {**options, "reduction": reduction})(logits, labels) for reduction in ("none", "mean", "sum")
    )
    torch.testing.assert_close(none.sum(), total)
    ratio = F.cross_entropy(logits, labels, reduction="sum", **options) / F.cross_entropy(logits, labels, **options)
    torch.testing.assert_close(mean * ratio, total)
    assert (none[labels == -5] == 0).all()


@every_loss
def test_ignored_samples_change_nothing(name):
    logits, labels = batch((9, 4))
    masked = labels.clone()
    masked[::4] = -100
    with_them = value_and_grad(make_loss(name), logits, masked)
    without = value_and_grad(make_loss(name), logits[masked >= 0], labels[masked >= 0])
    torch.testing.assert_close(with_them[0], without[0])
    torch.testing.assert_close(with_them[1][masked >= 0], without[1])
    assert (with_them[1][masked < 0] == 0).all()


@every_loss
@pytest.mark.parametrize("ignored", [False, True], ids=["empty", "all ignored"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_of_nothing_behaves_like_cross_entropy(name, ignored, reduction, weighted):
    n = 3 if ignored else 0
    logits, labels = torch.randn(n, 4), torch.full((n,), -100)
    options = {"reduction": reduction, "weight": torch.ones(4) if weighted else None}
    expected = F.cross_entropy(logits, labels, **options)
    torch.testing.assert_close(make_loss(name, options)(logits, labels), expected, equal_nan=True)
    assert (value_and_grad(make_loss(name, options), logits, labels)[1] == 0).all()


def learnt(criterion, with_void):
    """Take a step of plain descent on two crops, the second maybe void."""
    weights = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    crops = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[0, 1, 2, 3, 0], [-100] * 5 if with_void else [1, 1, 1, 1, 1]])
    for crop, label in zip(crops, labels, strict=True):
        criterion(crop @ weights, label).backward()
    return weights.grad


@every_loss
def test_one_void_crop_does_not_poison_a_run(name):
    whole, void = (learnt(make_loss(name).eval(), with_void) for with_void in (False, True))

    assert void.isfinite().all()
    assert void.abs().sum() > 0
    assert not torch.equal(whole, void)


@every_loss
def test_order_of_samples_changes_nothing(name):
    logits, labels = batch((7, 4))
    order = torch.randperm(7)
    options = {"reduction": "none"}
    losses, grad = value_and_grad(make_loss(name, options), logits, labels)
    shuffled, shuffled_grad = value_and_grad(make_loss(name, options), logits[order], labels[order])
    torch.testing.assert_close(shuffled, losses[order])
    torch.testing.assert_close(shuffled_grad, grad[order])


@pytest.mark.parametrize("name", POINTWISE)
def test_dense_logits_are_samples_like_any_other(name):
    logits, labels = batch((2, 4, 3, 2))
    criterion = make_loss(name, {"reduction": "none"})
    flat = criterion(logits.movedim(1, -1).reshape(-1, 4), labels.flatten())
    torch.testing.assert_close(criterion(logits, labels).flatten(), flat)
    torch.testing.assert_close(criterion(logits[0, :, 0, 0], labels[0, 0, 0]), flat[0])


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(POINTWISE)))
def test_dense_logits_are_one_batch_of_samples(name):
    logits, labels = batch((2, 4, 3, 2))
    dense = make_loss(name, {"reduction": "none"})(logits, labels)
    flat = make_loss(name, {"reduction": "none"})(logits.movedim(1, -1).reshape(-1, 4), labels.flatten())
    torch.testing.assert_close(dense.flatten(), flat)


@pytest.mark.parametrize("name", SOFT)
def test_one_hot_labels_equal_class_indices(name):
    logits, labels = batch()
    soft = value_and_grad(make_loss(name), logits, F.one_hot(labels, 4).double())
    torch.testing.assert_close(soft, value_and_grad(make_loss(name), logits, labels))


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_soft_labels_are_taken_in_every_shape(name, shape):
    logits = torch.randn(shape, dtype=torch.float64)
    target = torch.randn(shape, dtype=torch.float64).softmax(min(1, len(shape) - 1))
    loss = make_loss(name, {"reduction": "none"})(logits, target)
    assert loss.shape == labels_for(shape).shape
    weighted = make_loss(name, {"weight": torch.full((4,), 2.0, dtype=torch.float64), "reduction": "none"})
    torch.testing.assert_close(weighted(logits, target), 2 * loss)


@pytest.mark.parametrize("name", SOFT)
def test_label_smoothing_is_a_soft_label(name):
    logits, labels = batch()
    target = 0.8 * F.one_hot(labels, 4).double() + 0.2 / 4
    smoothed = value_and_grad(make_loss(name, {"label_smoothing": 0.2}), logits, labels)
    torch.testing.assert_close(smoothed, value_and_grad(make_loss(name, {"label_smoothing": 0.0}), logits, target))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SOFT)))
def test_soft_labels_without_a_meaning_are_refused(name, rejects):
    with rejects(TypeError, f"`labels` must be class indices for {LOSSES[name].cls.__name__}, got probabilities."):
        make_loss(name)(torch.randn(3, 4), torch.full((3, 4), 0.25))


# Label smoothing asks for some probability of every class: infinite where one is masked, by definition.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "label_smoothing"])
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "autocast"])
def test_loss_and_gradient_are_finite_at_extreme_logits(name, kind):
    rows = [[value, 0.0, -1.0, 0.5] for value in BIG] + [[-value, 0.0, 1.0, 0.5] for value in BIG]
    rows += [[value, 0.0, -math.inf, -math.inf] for value in BIG] + [[0.0, value, -math.inf, 0.0] for value in BIG]
    rows += [[0.0, -math.inf, -math.inf, -math.inf], [0.0, 0.0, 0.0, 0.0]]
    logits = torch.tensor(rows, dtype=torch.bfloat16 if kind == "autocast" else getattr(torch, kind))
    labels = torch.zeros(len(rows), dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast"):
        losses, grad = value_and_grad(make_loss(name, {"reduction": "none"}), logits, labels)
        mean, mean_grad = value_and_grad(make_loss(name), logits, labels)
    assert losses.isfinite().all()
    assert grad.isfinite().all()
    assert mean.isfinite()
    assert mean_grad.isfinite().all()
    assert grad.dtype == logits.dtype
    if kind != "autocast":
        assert losses.dtype == mean.dtype == logits.dtype
    else:
        assert losses.dtype == mean.dtype == torch.float32


@every_loss
def test_float32_agrees_with_float64(name):
    logits, labels = batch((64, 4))
    wide = value_and_grad(make_loss(name), logits, labels)
    narrow = value_and_grad(make_loss(name), logits.float(), labels)
    torch.testing.assert_close(narrow[0].double(), wide[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(narrow[1].double(), wide[1], rtol=1e-3, atol=1e-6)


@every_loss
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_gradients_agree_with_finite_differences(name, reduction):
    logits, labels = batch((5, 4))
    criterion = make_loss(name, {"reduction": reduction}).eval()
    if LOSSES[name].detached:
        pytest.skip("the weight is a constant by definition: tested with the loss itself")
    assert torch.autograd.gradcheck(lambda z: criterion(z, labels), logits.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda z: criterion(z, labels), logits)


def second_derivative(criterion, logits, labels):
    logits = logits.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(criterion(logits, labels), logits, create_graph=True)
    return torch.autograd.grad((grad * torch.randn_like(grad)).sum(), logits)[0]


@every_loss
@pytest.mark.parametrize("certain", [30.0, 100.0, 1e4])
def test_second_derivatives_are_finite_at_certain_samples(name, certain):
    logits = torch.tensor([[certain, 0.0, -1.0], [0.0, certain, -1.0], [0.0, 0.0, 0.0], [0.1, -0.3, 0.2]])
    labels = torch.tensor([0, 0, 1, 2])

    for dtype in (torch.float32, torch.float64):
        assert second_derivative(make_loss(name).eval(), logits.to(dtype), labels).isfinite().all()


NO_EFFECT = {
    "aurc": {"mixing": 0.0},
    "mmce": {"penalty_weight": 0.0},
    "mbls": {"penalty_weight": 0.0},
    "focal": {"gamma": 0.0},
    "inverse_focal": {"gamma": 0.0},
    "dual_focal": {"gamma": 0.0},
    "flsd53": {"gammas": (0.0, 0.0)},
    "adafocal": {"gamma_init": 0.0},
    "bsce_gra": {"gamma": 0.0},
}


@pytest.mark.parametrize("name", NO_EFFECT)
def test_switched_off_a_loss_is_cross_entropy_up_to_its_second_derivative(name):
    logits, labels = batch((6, 4))
    logits[0] = torch.tensor([50.0, 0.0, 0.0, 0.0])
    labels[0] = 0
    directions = torch.randn(6, 4, dtype=torch.float64)

    def curvature(criterion):
        z = logits.clone().requires_grad_()
        (grad,) = torch.autograd.grad(criterion(z, labels), z, create_graph=True)
        return grad.detach(), torch.autograd.grad((grad * directions).sum(), z)[0]

    torch.testing.assert_close(curvature(make_loss(name, NO_EFFECT[name])), curvature(make_loss("cross_entropy")))


@every_loss
def test_functional_gradient_equals_autograd(name):
    logits, labels = batch((5, 4))
    criterion = make_loss(name).eval()
    expected = value_and_grad(criterion, logits, labels)[1]
    torch.testing.assert_close(torch.func.grad(lambda z: criterion(z, labels))(logits), expected)


@pytest.mark.parametrize("name", POINTWISE)
def test_gradients_per_sample_come_from_vmap(name):
    logits, labels = batch((5, 4))
    criterion = make_loss(name)
    rows = torch.func.vmap(torch.func.grad(criterion))(logits, labels)
    expected = torch.stack([value_and_grad(criterion, *row)[1] for row in zip(logits, labels, strict=True)])
    torch.testing.assert_close(rows, expected)


def compiled_equals_eager(name, backend):
    logits, labels = batch((6, 4), dtype=torch.float32)
    torch._dynamo.reset()
    criterion = make_loss(name, {"weight": torch.tensor([0.5, 1.0, 2.0, 1.0])})
    compiled = torch.compile(copy.deepcopy(criterion), fullgraph=True, backend=backend)
    for _ in range(2):
        expected = value_and_grad(criterion, logits, labels)
        torch.testing.assert_close(value_and_grad(compiled, logits, labels), expected, rtol=1e-4, atol=1e-6)


@every_loss
@pytest.mark.usefixtures("unchecked_shapes")
def test_the_whole_graph_is_captured_by_the_compiler(name):
    compiled_equals_eager(name, "aot_eager")


@every_loss
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own
@pytest.mark.usefixtures("unchecked_shapes")
def test_compiled_code_gives_the_same_numbers(name):
    compiled_equals_eager(name, "inductor")


@every_loss
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_gives_the_same_loss(name, copied):
    logits, labels = batch()
    criterion = make_loss(name, {"weight": torch.rand(4, dtype=torch.float64)}).eval()
    torch.testing.assert_close(copied(criterion)(logits, labels), criterion(logits, labels))


@every_loss
def test_state_travels_through_a_file(name):
    logits, labels = batch()
    criterion = make_loss(name, {"weight": torch.rand(4, dtype=torch.float64)})
    criterion(logits, labels)
    file = io.BytesIO()
    torch.save(criterion.state_dict(), file)
    file.seek(0)
    other = make_loss(name, {"weight": torch.ones(4, dtype=torch.float64)})
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other.eval()(logits, labels), criterion.eval()(logits, labels))


class NothingCopied(TorchFunctionMode):
    """Raise where numbers become a tensor of another device than the processor's: a copy that waits for the device."""

    MAKES = (torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor)
    MOVES = (torch.Tensor.to, torch.Tensor.cuda, torch.Tensor.cpu)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in self.MAKES + self.MOVES:
            given = args[1] if func is torch.Tensor.new_tensor else args[0]
            came_from = given.device if isinstance(given, torch.Tensor) else torch.device("cpu")
            if came_from != out.device:
                raise AssertionError(f"{func.__name__} copies between devices")
        return out


@every_loss
@pytest.mark.parametrize("targets", ["indices", "probabilities"])
@pytest.mark.parametrize("ignore_index", [-100, 0])
def test_everything_stays_on_the_device_and_never_waits_for_it(name, ignore_index, targets):
    # A meta tensor has no values: a step that needs one, or a shape that depends on one, raises.
    if targets == "probabilities" and (name not in SOFT or ignore_index >= 0):
        pytest.skip("takes class indices alone")
    options = {"weight": torch.ones(4), "ignore_index": ignore_index}
    criterion = make_loss(name, options).to("meta")
    logits = torch.randn(5, 4, device="meta", requires_grad=True)
    labels = torch.zeros(5, dtype=torch.int64, device="meta")
    with NothingCopied():
        loss = criterion(logits, labels if targets == "indices" else logits.detach())
        loss.backward()
    assert loss.device.type == "meta"
    assert logits.grad.shape == (5, 4)


def test_gammas_per_class_are_copied_to_a_device_once():
    criterion = make_loss("focal", {"gamma": (1.0, 2.0, -1.0, 0.5)})
    logits, labels = torch.randn(5, 4, device="meta"), torch.zeros(5, dtype=torch.int64, device="meta")
    with torch.inference_mode():
        criterion(logits, labels)
    with NothingCopied():
        criterion(logits.requires_grad_(), labels).backward()
    with NothingCopied(), pytest.raises(AssertionError, match="copies"):
        make_loss("focal", {"gamma": (1.0, 2.0, -1.0, 0.75)})(logits, labels)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_labels_may_be_any_integers(name, dtype):
    logits, labels = batch()
    torch.testing.assert_close(make_loss(name)(logits, labels.to(dtype)), make_loss(name)(logits, labels))


@pytest.mark.parametrize("name", OURS)
def test_inputs_keep_their_values(name):
    logits, labels = batch()
    before = logits.clone(), labels.clone()
    value_and_grad(make_loss(name), logits, labels)
    make_loss(name)(logits, labels)
    assert torch.equal(before[0], logits)
    assert torch.equal(before[1], labels)


@pytest.mark.parametrize("name", OURS)
def test_wrong_inputs_get_one_sentence(name, rejects):
    criterion = make_loss(name)
    logits = torch.randn(3, 4)
    with rejects(ValueError, "`labels` must have shape (3,) for `logits` of shape (3, 4), got (2,)."):
        criterion(logits, torch.tensor([0, 1]))
    with rejects(TypeError, "`logits` must be a floating-point tensor, got dtype torch.int64."):
        criterion(torch.ones(3, 4, dtype=torch.int64), torch.tensor([0, 1, 2]))
    with rejects(TypeError, "`labels` must be a tensor, got list."):
        criterion(logits, [0, 1, 2])
    with rejects(TypeError, "`labels` must be integer class indices or class probabilities, got dtype torch.bool."):
        criterion(logits, torch.tensor([True, False, True]))
    with rejects(ValueError, "`weight` must have shape (4,), one per class, got (3,)."):
        make_loss(name, {"weight": torch.ones(3)})(logits, torch.tensor([0, 1, 2]))
    with rejects(ValueError, "`reduction` must be one of 'none', 'mean', 'sum', got 'average'."):
        make_loss(name, {"reduction": "average"})


NO_DISTRIBUTIONS = {
    "several labels": [1.0, 1.0, 0.0, 0.0],
    "nothing": [0.0, 0.0, 0.0, 0.0],
    "negative mass": [1.5, -0.5, 0.0, 0.0],
    "percent": [90.0, 10.0, 0.0, 0.0],
    "NaN": [math.nan, 0.5, 0.5, 0.0],
    "infinite": [math.inf, 0.0, 0.0, 0.0],
    "too little": [0.5, 0.4, 0.0, 0.0],
}
SOFT_OURS = sorted(set(SOFT) & set(OURS))


@pytest.mark.parametrize("name", SOFT_OURS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_that_are_no_distribution_are_refused(name, shape, rejects):
    axis = min(1, len(shape) - 1)
    for row in NO_DISTRIBUTIONS.values():
        rows = torch.full((math.prod(shape) // 4, 4), 0.25)
        rows[-1] = torch.tensor(row)
        target = rows.view(*shape[:axis], *shape[axis + 1 :], 4).movedim(-1, axis)
        shown = ", ".join(f"{value:.6g}" for value in row)
        sentence = (
            f"`labels` given as class probabilities must be at least 0 and sum to 1 for each sample, got [{shown}]: "
            "for several labels per sample use `sigmoid=True`, and to leave samples out, class indices with "
            "`ignore_index`."
        )
        with rejects(ValueError, sentence):
            make_loss(name)(torch.randn(shape), target)


@pytest.mark.parametrize("name", sorted(set(SOFT_OURS) & set(POINTWISE)))
def test_where_values_cannot_be_read_such_a_row_is_nan(name):
    logits, target = torch.randn(3, 4), torch.full((3, 4), 0.25)
    expected = make_loss(name, {"reduction": "none"})(logits, target)
    target[1] = torch.tensor([1.0, 1.0, 0.0, 0.0])
    losses = torch.func.vmap(make_loss(name, {"reduction": "none"}))(logits, target)

    assert losses.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(losses[::2], expected[::2])


@pytest.mark.parametrize("name", SOFT_OURS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounded_distributions_are_taken(name, dtype):
    target = torch.randn(50, 4).softmax(1).to(dtype)

    assert make_loss(name)(torch.randn(50, 4), target).isfinite()


@pytest.mark.parametrize("name", SOFT_OURS)
def test_class_probabilities_name_no_class_to_ignore(name, rejects):
    sentence = (
        "`ignore_index` must be negative where `labels` are class probabilities, which name no class to ignore, got 0."
    )
    with rejects(ValueError, sentence):
        make_loss(name, {"ignore_index": 0})(torch.randn(3, 4), torch.full((3, 4), 0.25))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", [(1,), (5, 1), (2, 1, 3, 3)], ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "floats"])
def test_one_logit_per_sample_is_refused(name, shape, soft, rejects):
    labels = torch.ones(shape) if soft else torch.zeros(() if len(shape) == 1 else shape[:1] + shape[2:]).long()
    axis = min(1, len(shape) - 1)
    sentence = (
        f"`logits` must have at least 2 classes, got 1 (shape {shape}): for one value per sample use "
        f"torch.cat([torch.zeros_like(logits), logits], {axis}) with class indices 0 and 1, or `sigmoid=True` of "
        "a loss."
    )
    with rejects(ValueError, sentence):
        make_loss(name)(torch.randn(shape), labels)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("label", [4, -1, 100])
def test_a_label_out_of_range_is_named(name, shape, label, rejects):
    labels = labels_for(shape)
    labels.view(-1)[-1] = label
    sentence = (
        f"`labels` must be class indices in [0, 4) or -100 (ignored), got {label} at position {labels.numel() - 1}."
    )
    for options in ({}, {"label_smoothing": 0.1}, {"weight": torch.ones(4)}):
        with rejects(ValueError, sentence):
            make_loss(name, options)(torch.randn(shape), labels)


@pytest.mark.parametrize("name", OURS)
def test_arrays_are_refused_with_the_way_to_make_them_tensors(name, rejects):
    logits, labels = batch()
    with rejects(TypeError, "`logits` must be a floating-point tensor, got ndarray: make it one by torch.as_tensor."):
        make_loss(name)(logits.numpy(), labels)
    with rejects(TypeError, "`labels` must be a tensor, got ndarray: make it one by torch.as_tensor."):
        make_loss(name)(logits, labels.numpy())
    with rejects(TypeError, "`weight` must be a floating-point tensor, got list."):
        make_loss(name, {"weight": [1.0, 1.0, 1.0, 1.0]})


@pytest.mark.parametrize("name", OURS)
def test_weights_that_cannot_weigh_are_refused(name, rejects):
    with rejects(ValueError, "`weight` must be finite and >= 0, got nan for class 1."):
        make_loss(name, {"weight": torch.tensor([1.0, math.nan, 1.0, 1.0])})
    with rejects(ValueError, "`weight` must be finite and >= 0, got -1.0 for class 3."):
        make_loss(name, {"weight": torch.tensor([1.0, 1.0, 1.0, -1.0])})
    with rejects(ValueError, "`weight` must have shape (C,), one per class, got (1, 4)."):
        make_loss(name, {"weight": torch.ones(1, 4)})
    with rejects(TypeError, "`ignore_index` must be an integer, got None."):
        make_loss(name, {"ignore_index": None})


@pytest.mark.parametrize("name", OURS)
def test_repr_shows_the_settings(name):
    text = repr(make_loss(name))
    assert text.startswith(LOSSES[name].cls.__name__)
    assert "reduction=mean" in text


def test_unknown_loss_is_refused_with_the_known_ones(rejects):
    with rejects(ValueError, f"`loss` must be one of {', '.join(LOSSES)}, got 'hinge'."):
        make_loss("hinge")


def test_unknown_argument_is_refused_with_the_known_ones(rejects):
    known = "weight, gamma, ignore_index, reduction, label_smoothing, sigmoid, pos_weight"
    with rejects(ValueError, f"`loss_args` of focal must be among {known}, got 'alpha'."):
        make_loss("focal", {"alpha": 1.0})

# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from adafocal._records import as_record
from adafocal.report.segmentation_figures import case_panels, draw_diagram, draw_errors, draw_slice, draw_surface
from adafocal.report.svg import SERIES
from adafocal.report.tables import segmentation_table
from adafocal.results.run import Summary


@pytest.fixture
def ax():
    return Figure().subplots()


def boxes():
    mask = np.zeros((12, 16, 10), dtype=np.int16)
    mask[3:9, 3:8, 2:8], mask[3:9, 8:13, 2:8] = 1, 2
    return mask


def write_cases(folder, **changes):
    image = np.random.default_rng(0).normal(size=(12, 16, 10)).astype(np.float16)
    diagram = np.array([[1, 0, 0.9, 0.0], [1, 1, 0.6, 0.2], [2, 0, 0.8, 0.1]])
    case = {
        "name": np.array("<b>case</b>"),
        "dice": np.array(0.8125),
        "image": image,
        "label": boxes(),
        "predicted": np.roll(boxes(), 1, axis=0),
        "confidence": np.full((12, 16, 10), 0.75, dtype=np.float16),
        "diagram": diagram,
        "alive": np.array([[1, 1, 0], [1, 0, 0]]),
    } | changes
    arrays = {
        f"{kind}_{name}": value for kind in ("best", "worst") for name, value in case.items() if value is not None
    }
    np.savez(folder / "cases.npz", class_names=["background", "head", "tail"], **arrays)


def test_a_folder_without_cases_has_no_panels(tmp_path):
    assert case_panels(tmp_path) == []


def test_a_damaged_file_is_named(tmp_path):
    write_cases(tmp_path)
    path = tmp_path / "cases.npz"
    path.write_bytes(path.read_bytes()[:500])

    with pytest.raises(ValueError, match=r"^'.*cases\.npz' must hold the cases that training writes: .*\.$"):
        case_panels(tmp_path)


def test_two_cases_have_four_panels_each_that_tell_their_numbers(tmp_path):
    write_cases(tmp_path)
    panels = case_panels(tmp_path)

    assert len(panels) == 8
    assert [panel.title for panel in panels] == [
        f"{kind} case{what}"
        for kind in ("Worst", "Best")
        for what in (", <b>case</b>", ": errors and confidence", ": surfaces", ": persistence")
    ]
    assert [panel.title for panel in case_panels(tmp_path, kinds=["best"])] == [panel.title for panel in panels[4:]]
    assert panels[0].caption.startswith("Dice 0.812. ")
    assert panels[2].caption == "Voxels: head 180 true and 180 predicted, tail 180 true and 180 predicted."
    assert "head: components 1, tunnels 1, cavities 0; tail: components 1, tunnels 0, cavities 0" in panels[3].alt
    assert sum(len(panel.svg) for panel in panels) < 500_000


def test_without_diagrams_and_confidence_the_other_panels_remain(tmp_path):
    write_cases(tmp_path, diagram=None, alive=None, confidence=None)

    assert [panel.title for panel in case_panels(tmp_path)[1::2]] == ["Worst case: surfaces", "Best case: surfaces"]


@pytest.mark.parametrize("empty", [("predicted",), ("predicted", "label")])
def test_an_empty_mask_can_be_drawn(empty, tmp_path):
    write_cases(tmp_path, **{name: np.zeros_like(boxes()) for name in empty})
    true = 0 if "label" in empty else 180

    assert f"head {true} true and 0 predicted" in case_panels(tmp_path)[2].caption


def test_a_slice_has_a_solid_and_a_dashed_contour_per_class(ax):
    label, predicted = boxes()[5], np.roll(boxes()[5], 1, axis=0)
    draw_slice(ax, np.random.default_rng(0).normal(size=label.shape), label, predicted, n_classes=3)
    styles = [
        (collection.get_edgecolor()[0].tolist(), collection.get_linestyle()[0][1]) for collection in ax.collections
    ]

    assert len(styles) == 4
    assert len({str(color) for color, _ in styles}) == 2
    assert [dashes is None for _, dashes in styles] == [True, False, True, False]


def test_errors_are_counted_with_the_confident_ones_and_never_where_nothing_is_labelled(tmp_path):
    label = boxes()
    label[0] = -100
    predicted, confidence = boxes(), np.full(label.shape, 0.6, dtype=np.float16)
    predicted[0], predicted[3, 3, 2:5], confidence[3, 3, 2:4] = 1, 0, 0.95
    write_cases(tmp_path, label=label, predicted=predicted, confidence=confidence)
    panel = case_panels(tmp_path)[1]

    assert panel.caption.endswith(
        " 3 voxels are wrong (truly background 0, head 3, tail 0), 2 of them at a confidence of 0.9 or more."
    )
    assert "in the slices [3, 3, " in panel.alt  # where the errors are, not where the mask is largest


def test_an_unsure_voxel_is_coloured_and_a_sure_one_is_grey(ax):
    confidence, wrong = np.array([[1.0, 0.5], [0.75, 1.0]]), np.array([[True, False], [False, False]])
    draw_errors(ax, np.array([[0.0, 1.0], [0.5, 1.0]]), confidence, wrong)
    (sure, half), (unsure, _) = ax.images[0].get_array()

    assert np.ptp(sure) == 0
    assert np.ptp(unsure) == pytest.approx(0.8)  # as yellow as can be
    assert np.ptp(half) == pytest.approx(0.4)
    assert len(ax.collections) == 1  # one outline


def test_a_surface_shows_each_class_in_its_colour_and_nothing_beside_it(ax):
    draw_surface(ax, boxes(), boxes() > 0, n_classes=3)
    pixels = np.asarray(ax.images[0].get_array())
    seen = pixels[..., 3] > 0
    reddish = pixels[..., 0] > pixels[..., 2]

    assert 0.2 < seen.mean() < 0.8
    assert 0.15 < (reddish & seen).sum() / seen.sum() < 0.85


def test_a_cube_shows_faces_of_different_brightness(ax):
    mask = np.zeros((12, 12, 12), dtype=np.int16)
    mask[3:9, 3:9, 3:9] = 1
    draw_surface(ax, mask, mask > 0, n_classes=2)
    pixels = np.asarray(ax.images[0].get_array())
    brightness = pixels[..., 0][pixels[..., 3] > 0]

    assert np.quantile(brightness, 0.9) > 1.3 * np.quantile(brightness, 0.1)


def test_a_diagram_has_one_marker_per_dimension(ax):
    draw_diagram(ax, np.array([[0, 0.9, 0.0], [1, 0.6, 0.2], [0, 0.5, 0.4]]), color=SERIES[1])

    assert [len(collection.get_offsets()) for collection in ax.collections] == [2, 1, 0]
    assert ax.collections[0].get_offsets().tolist() == [[0.9, 0.0], [0.5, 0.4]]


def test_rows_of_the_table_are_means_over_runs_and_a_missing_number_is_a_dash():
    def summary(dice, ece):
        pooled = {"ece": ece, "ece_predicted_foreground": None}
        betti = {f"betti{dim}_error": {"mean": float(dim)} for dim in range(3)}
        scores = {"dice": {"mean": dice}, "hausdorff95": {"mean": 2.0}, **betti}
        return result(segmentation={**scores, "voxels_pooled": pooled, "voxels_per_case": {"ece": 0.02}})

    def result(**more):
        test = dict.fromkeys(("error", "ece", "ece_equal_mass", "nll", "overconfidence"), 0.1)
        about = {"loss": "focal", "seed": 0, "class_names": ["a", "b"], "temperature": 1.0}
        sizes = {"train": 1, "validation": 1, "test": 1}
        return as_record({**about, "sizes": sizes, "test": test, "test_scaled": test, **more}, Summary, "must fit, got")

    runs = {"Focal": [summary(0.8, 0.01), summary(0.9, 0.03)], "Other": [result()]}
    table = segmentation_table(runs, name="scores")

    assert [row.title for row in table.rows] == ["Focal"]
    assert [cell.text for cell in table.rows[0].cells] == [
        "0.850 ± 0.071", "2.00 ± 0.00", "0.00 ± 0.00", "1.00 ± 0.00", "2.00 ± 0.00", "2.00 ± 1.41", "2.00 ± 0.00", "–",
        *["–"] * 3,  # runs of an older version
    ]  # fmt: skip
    assert table.headings == [
        "Loss",
        "Dice",
        "HD95",
        "Components",
        "Tunnels",
        "Cavities",
        "ECE % pooled",
        "per case",
        "foreground",
        "Class ECE %",
        "Class ACE %",
        "Class MCE %",
    ]
    assert segmentation_table({"Other": [result()]}, name="scores") is None


def test_figures_of_several_runs_on_one_page_do_not_share_identifiers(tmp_path):
    write_cases(tmp_path)
    marks = [re.findall(r'id="([^"]+)"', case_panels(tmp_path, mark=mark)[3].svg) for mark in ("-1", "-2")]
    clips = [{name for name in found if re.fullmatch(r"[pm][0-9a-f]{10}", name)} for found in marks]

    assert clips[0]
    assert clips[0].isdisjoint(clips[1])

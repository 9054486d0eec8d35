# SPDX-License-Identifier: Apache-2.0
"""Every data set by name: what the command line, recipes and docs read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from adafocal._settings import or_meant
from adafocal.data.config import DataConfig
from adafocal.data.digits import digits_splits
from adafocal.data.splits import DataSplits
from adafocal.data.texts import without_header
from adafocal.data.volumes import volume_splits
from adafocal.errors import InvalidValueError


@dataclass(frozen=True)
class DatasetSpec:
    """A data set of the catalogue.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        source: Where it comes from.
        hub: Name on the Hugging Face hub, with the configuration after a colon; None for sets that ship with a library.
        folder: Name of its folder below ``data.root``; None is its own name.
        classes: How many there are; None where that is not known.
        scheme: Where the parts come from: ``official`` keeps the test part and takes validation from training,
            ``halved`` keeps training and takes validation and test from the official test part, ``pooled`` splits all
            samples anew.
        test_parts: Names that the official test part may have.
        validation: Samples for validation, or their share of all below 1.
        test: Share of all samples for the test part of a pooled set.
        mean: Mean of each channel where pixels span [0, 1]; None measures it on the training part.
        deviation: Standard deviation of each channel.
        pad: Largest random shift in training, in pixels.
        flip: Whether images are mirrored at random in training.
        large: Whether images stay encoded until a batch needs them.
        image_size: Height and width that images are scaled to; None keeps theirs.
        length: Tokens of a text.
        prepare: Applied to each text.
        load: Builds the splits by itself, for sets that are not files.
        kind: What its samples are, a key of ``adafocal.data.used.USED``; None looks at them.
        own: Whether it is somebody's own: its given parts are kept, and its images turned upright.
    """

    name: str
    title: str
    source: str
    hub: str | None = None
    folder: str | None = None
    classes: int | None = None
    scheme: Literal["official", "halved", "pooled"] = "official"
    test_parts: tuple[str, ...] = ("test",)
    validation: float = 0.1
    test: float = 0.2
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    pad: int = 0
    flip: bool = False
    large: bool = False
    image_size: int | None = None
    length: int = 256
    prepare: Callable[[str], str] | None = None
    load: Callable[..., DataSplits] | None = None
    kind: str | None = None
    own: bool = False


SPECS = (
    DatasetSpec(
        name="digits",
        kind="digits",
        title="Digits",
        source="scikit-learn, 1,797 images of 8 x 8 pixels, 10 classes (UCI optical recognition of handwritten digits)",
        validation=500,
        load=digits_splits,
    ),
    DatasetSpec(
        name="cifar10",
        kind="images",
        title="CIFAR-10",
        source="Krizhevsky 2009, 45,000 / 5,000 / 10,000 images of 32 x 32 pixels, 10 classes",
        classes=10,
        hub="uoft-cs/cifar10",
        validation=5000,
        mean=(0.4914, 0.4822, 0.4465),
        deviation=(0.2023, 0.1994, 0.2010),  # within an image, on average; that of all pixels is 0.24 to 0.26
        pad=4,
        flip=True,
    ),
    DatasetSpec(
        name="cifar100",
        kind="images",
        title="CIFAR-100",
        source="Krizhevsky 2009, 45,000 / 5,000 / 10,000 images of 32 x 32 pixels, 100 classes",
        classes=100,
        hub="uoft-cs/cifar100",
        validation=5000,
        mean=(0.4914, 0.4822, 0.4465),
        deviation=(0.2023, 0.1994, 0.2010),
        pad=4,
        flip=True,
    ),
    DatasetSpec(
        name="svhn",
        kind="images",
        title="SVHN",
        source="Netzer et al. 2011, street-view house numbers, 73,257 + 26,032 images of 32 x 32 pixels, 10 classes",
        classes=10,
        hub="ufldl-stanford/svhn:cropped_digits",
        validation=5000,
        pad=4,
    ),
    DatasetSpec(
        name="tiny_imagenet",
        kind="images",
        title="Tiny-ImageNet",
        source="CS231n 2015, 90,000 / 10,000 / 10,000 64 x 64 images, 200 classes; test is the official validation",
        classes=200,
        hub="zh-plus/tiny-imagenet",
        test_parts=("valid", "val", "validation"),
        validation=10_000,
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        pad=4,
        flip=True,
    ),
    DatasetSpec(
        name="imagenet",
        kind="images",
        title="ImageNet",
        source="Russakovsky et al. 2015, ILSVRC-2012: 1,281,167 / 25,000 / 25,000 images, 1000 classes; the official "
        "validation part is halved",
        classes=1000,
        hub="ILSVRC/imagenet-1k",
        scheme="halved",
        test_parts=("validation", "val"),
        validation=25_000,
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        flip=True,
        large=True,
        image_size=224,
    ),
    DatasetSpec(
        name="mnist",
        kind="images",
        title="MNIST",
        source="LeCun et al. 1998, 55,000 / 5,000 / 10,000 images of 28 x 28 pixels, 10 classes",
        classes=10,
        hub="ylecun/mnist",
        validation=5000,
    ),
    DatasetSpec(
        name="fashion_mnist",
        kind="images",
        title="Fashion-MNIST",
        source="Xiao et al. 2017, 55,000 / 5,000 / 10,000 images of 28 x 28 pixels, 10 classes",
        classes=10,
        hub="zalando-datasets/fashion_mnist",
        validation=5000,
        flip=True,
    ),
    DatasetSpec(
        name="20newsgroups",
        kind="texts",
        title="20 Newsgroups",
        source="Lang 1995, 18,846 posts pooled and split 14,229 / 848 / 3,769, in the proportions 15,098 / 900 / 3,999 "
        "that the papers have of the 19,997-post collection",
        classes=20,
        hub="SetFit/20_newsgroups",
        scheme="pooled",
        validation=900 / 19_997,
        test=3_999 / 19_997,
        length=1000,
        prepare=without_header,
    ),
    DatasetSpec(
        name="20newsgroups_bydate",
        kind="texts",
        title="20 Newsgroups, by date",
        source="Lang 1995, 11,314 earlier posts (900 of them for validation) and 7,532 later ones for test, 20 classes",
        classes=20,
        hub="SetFit/20_newsgroups",
        folder="20newsgroups",
        validation=900,
        length=1000,
        prepare=without_header,
    ),
    DatasetSpec(
        name="sst2",
        kind="texts",
        title="SST-2",
        source="Socher et al. 2013, 67,349 phrases and 872 sentences for test, 2 classes; hidden labels are not used",
        classes=2,
        hub="stanfordnlp/sst2",
        test_parts=("validation",),
        validation=2000,
        length=64,
    ),
    DatasetSpec(
        name="ag_news",
        kind="texts",
        title="AG News",
        source="Zhang et al. 2015, 120,000 + 7,600 news titles and descriptions, 4 classes",
        classes=4,
        hub="fancyzhx/ag_news",
        validation=5000,
        length=128,
    ),
    DatasetSpec(
        name="hippocampus3d",
        kind="volumes",
        title="Hippocampus",
        source="Antonelli et al. 2022, Medical Segmentation Decathlon task 4: 260 MR volumes of about 35 x 50 x 35 "
        "voxels, anterior and posterior hippocampus; 156 / 39 / 65 cases",
        load=partial(
            volume_splits,
            folders=("hippocampus3d", "Task04_Hippocampus"),
            class_names=("background", "anterior", "posterior"),
        ),
    ),
    DatasetSpec(
        name="brain_tumour3d",
        kind="volumes",
        title="Brain tumours",
        source="Antonelli et al. 2022, Medical Segmentation Decathlon task 1 (BraTS 2016 and 2017): 484 MR volumes of "
        "240 x 240 x 155 voxels and four channels, three tissues; set data.volume_size, for all cases stay in memory",
        load=partial(volume_splits, folders=("brain_tumour3d", "Task01_BrainTumour")),
    ),
    DatasetSpec(
        name="volumes",
        kind="volumes",
        title="Volumes",
        source="yours: a Decathlon task, NIfTI files in images and labels, or one .npz file; give data.path",
        load=volume_splits,
    ),
)
DATASETS = {spec.name: spec for spec in SPECS}
OTHER = DatasetSpec(  # any set that is not in the catalogue
    name="other", title="Other", source="yours", test_parts=("test", "validation"), own=True
)


def get_dataset(config: DataConfig) -> DatasetSpec:
    """Find the catalogue's entry of a data set, or the general one where a path or hub name says where it is.

    Raises:
        ValueError: If the name is unknown and nothing says where the data are.
    """
    if config.name in DATASETS:
        return DATASETS[config.name]
    if config.path is None and "/" not in config.name:
        raise InvalidValueError(
            f"`data.name` must be one of {', '.join(DATASETS)}, owner/name on the hub, or come with `data.path`, "
            f"got {config.name!r}{or_meant(config.name, DATASETS)}"
        )
    return OTHER

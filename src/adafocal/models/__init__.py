# SPDX-License-Identifier: Apache-2.0
"""Models by name: ``forward`` gives logits, ``features`` the penultimate layer.

===========================  ==========================================================
mlp.py                       a multilayer perceptron
small_cnn.py                 a small convolutional network
resnet.py                    ResNet-18 to ResNet-152, for small images and for ImageNet
wide_resnet.py               Wide-ResNet-26-10
densenet.py                  DenseNet-121
text_cnn.py                  the global-pooling network for texts, GloVe vectors
transformer.py               any sequence classifier of transformers
timm.py                      any image classifier of timm
unet3d.py                    MONAI's 3-D U-Net, for volumes
own.py                       classes and functions of the user's own
base.py                      the head on the penultimate layer; what is read from a sample's shape
catalogue.py                 MODELS: every model by name
===========================  ==========================================================
"""

from adafocal.models.catalogue import MODELS, ModelSpec, make_model
from adafocal.models.densenet import DenseNet
from adafocal.models.mlp import MLP
from adafocal.models.resnet import ResNet
from adafocal.models.small_cnn import SmallCNN
from adafocal.models.text_cnn import TextCNN
from adafocal.models.timm import TimmClassifier
from adafocal.models.transformer import TransformerClassifier
from adafocal.models.unet3d import UNet3d
from adafocal.models.wide_resnet import WideResNet

__all__ = [
    "MLP",
    "MODELS",
    "DenseNet",
    "ModelSpec",
    "ResNet",
    "SmallCNN",
    "TextCNN",
    "TimmClassifier",
    "TransformerClassifier",
    "UNet3d",
    "WideResNet",
    "make_model",
]

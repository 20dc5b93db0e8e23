"""ImageNet evaluation of any ResNet-50 checkpoint: linear, semi-supervised, kNN."""

from results.activation import refuse_outside

refuse_outside()

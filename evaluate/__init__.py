"""ImageNet evaluation of any ResNet-50 checkpoint: linear, semi-supervised, kNN."""

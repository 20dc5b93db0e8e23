"""Conversion with proof, and the transfer cells of Table 2 run by VISSL, LIBLINEAR and Detectron2."""

from results.activation import refuse_outside

refuse_outside()

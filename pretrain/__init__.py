"""VICReg pretraining: from images to a checkpoint with its card."""

from results.activation import refuse_outside

refuse_outside()

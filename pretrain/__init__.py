"""VICReg pretraining: from images to a checkpoint with its card."""

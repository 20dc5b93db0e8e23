"""Two views of an image (B.2). Random numbers are drawn once, in `parameters`; two implementations then apply them.

`reference` does every operation with PIL, as the released code does. `host` (decode, crop, resize, flip) and `device`
(colour, grayscale, blur, solarize, normalise, in batches; where there is no GPU, `processor`) are the fast pair. The
same parameters give the same view in both, to within 2 grey levels.
"""

"""What a model knows and does not know: pure functions on arrays.

Import the modules; only `decomposition` and `draws` need TensorFlow.

    decomposition         total, aleatoric and epistemic uncertainty, streaming over draws
    draws                 standard errors over draws, how many draws suffice
    calibration           ECE and related scores; counting and scoring are separate
    consistency           the ECE that chance alone would show
    miscalibration        is it calibrated? Over- or underconfident, by three tests
    poisson_binomial      how many of some independent events come true
    scores                NLL and Brier score per clip, the Brier score's parts
    selective             does the uncertainty rank the errors? Risk-coverage and AUROC
    ood                   does the model notice sounds of another kind?
    temperature           repair: temperature scaling
    conformal             repair: sets that hold the truth with a stated probability
    thresholds            per label, for a wanted precision or recall
    presence              was a label present at all in a period?
    laplace               a normal posterior around the trained weights of a last layer
    bootstrap             intervals over clips, of means over clips
    jackknife             intervals over clips, of means over labels
    ranking               AUROC and AP of all resamples at once
    confidence_intervals  closed-form intervals of a share, of one label's AUROC and AP, of a mean
    arrays                checks of the arrays that all of them take
"""

"""Active learning: which clips to label next, and a new head from their labels within seconds.

    trunk = Trunk.open("everyday-sounds")
    clips = trunk.clips("data/esc10", ["fold1", "fold2"])        # once; `save` and `load` keep them
    learner = HeadLearner(recipe, trunk.architecture, names, "multiclass")  # compiles once
    head = learner.train(clips.features[known], clips.labels[known])
    answers = learner.answer(head, clips.features[unknown])
    choose("epistemic-diversity", answers, 10, seed=0)           # indices of clips to label

trunk          the network up to its pooled features, once per clip
clips          clips with their features
acquisition    what makes a clip worth a label
settings       what a recipe may ask for
learner        trains heads on features
answers        their answers, averaged over draws
learning       a head, its scores before and after, and its model directory
simulation     labels that are known are given step by step: does it pay?
"""

"""The paper's study: a grid of upstream models, strategies, modes, data sets, folds and seeds.

    recipe   what a study is made of
    grid     its cells, and parts of it
    places   where everything lies
    plan     what is done, and what the rest will cost
    run      does the rest
    stages   what is done for a data set, an upstream model and a cell: as the commands do it
"""

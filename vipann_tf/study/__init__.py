"""The paper's study: a grid of upstream models, strategies, modes, data sets, folds and seeds.

recipe       what a study is made of
grid         its cells, and parts of it
places       where everything lies, and what is known of it from its files
plan         what is done, and what the rest will cost
run          does the rest; stages: a data set, a network, a cell, as the commands do them
arms         what is finished, gathered into what is compared
tables       the paper's tables; differences: who is better, where that is shown; table: notations
figures      the pictures; page: all in one file; outcome: writes everything
"""

"""The paper's study: a grid of upstream models, strategies, modes, data sets, folds and seeds.

recipe         the settings of a study
grid           its cells, and how to choose parts of it
directory      the paths and files of a study
jobs           a data set to prepare, a network to train, a cell; stages: how each is done
active_jobs    features and learning curves, of mode active; active_stages: how each is done
plan           which jobs are done, and the cost of the others
run            runs the unfinished jobs
arms           groups of finished cells, which are compared
table          a table as CSV, Markdown and LaTeX
paper_tables   the paper's tables; differences: which arm is better, if that is significant
curves         learning curves and their tables; curve_figures: their pictures
figures        the pictures
outcome        writes tables and pictures; page: both in one file
"""

"""The paper's study: a grid of upstream models, strategies, modes, data sets, folds and seeds.

recipe         what a study is made of
grid           its cells, and how parts of it are chosen
directory      where everything lies, and what the files say
jobs           a data set to prepare, a network to train, a cell; stages: how each is done
plan           which jobs are done, and what the others will cost
run            runs the others
arms           finished cells, gathered into what is compared
table          a table as CSV, Markdown and LaTeX
paper_tables   the paper's tables; differences: which arm is better, where that is shown
figures        the pictures
outcome        writes tables and pictures; page: both in one file
"""

"""The package in Python: what `import vipann_tf` shows that no package below has by itself.

`model` has a loaded model, `prediction` what it answers; the other modules have the functions
behind the commands, with their words: a function is given what its command is given, does the
whole of it and returns what it wrote.
"""

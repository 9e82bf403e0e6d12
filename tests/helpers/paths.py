"""Where things are."""

import pathlib

# Of the repository; processes that tests start run here, so that they find `tests` and `vipann_tf`.
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CLIENT = DEPLOY / "ask.py"
RECIPES = ROOT / "recipes"
SOUNDS = ROOT / "examples" / "sounds"

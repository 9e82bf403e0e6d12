"""The look that all pages of this package share: one style sheet, one way to fill templates."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

__all__ = ["PageScript", "data_block", "page_environment", "page_script", "script_hash"]


class PageScript(NamedTuple):
    """A page's own script, and what lets a Content-Security-Policy run it and no other."""

    text: Markup
    digest: str


def page_environment(*packages: str) -> jinja2.Environment:
    """Return an environment whose templates escape what they show; `style` is the style sheet.

    Args:
      packages: Packages whose `templates` are looked through before those of the reports.
    """
    loader = jinja2.ChoiceLoader(
        [
            jinja2.PackageLoader(package, "templates")
            for package in (*packages, "vipann_tf.evaluation")
        ]
    )
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(loader.get_source(environment, "report.css")[0])
    return environment


def page_script(environment: jinja2.Environment, names: Sequence[str]) -> PageScript:
    """Return scripts of the templates' folders as one, whose names no other script sees.

    Args:
      environment: What `page_environment` returns.
      names: Files, in the order in which they run.
    """
    assert environment.loader is not None  # page_environment gives it
    sources = [environment.loader.get_source(environment, name)[0] for name in names]
    script = "\n".join(['"use strict";', "(() => {", *sources, "})();"])
    script = script.replace("\r\n", "\n")  # as browsers read it, which compare it with its hash
    return PageScript(Markup(script), script_hash(script))


def script_hash(script: str) -> str:
    """Return the source expression of a script for a Content-Security-Policy, without quotes."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def data_block(value: Any) -> Markup:
    """Return JSON for a script element, which no text in it can end.

    `</script>` and `<!--` have a special meaning there, so that "<" is written as an escape.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))

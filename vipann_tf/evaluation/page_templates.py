"""The look that all pages of this package share: one style sheet, one way to fill templates."""

import jinja2
from markupsafe import Markup

__all__ = ["page_environment"]


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

"""The page to talk to the model. It sends nothing but to this server."""

from functools import cache

from inserter.page import environment, policy_hash, text

HEADERS = {
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@cache
def page() -> str:
    """Return the HTML, with its style and its script in it."""
    script = text("flows.serve", "template/app.js")
    style = text("inserter.page", "base.css") + text("flows.serve", "template/style.css")
    found = environment("flows.serve").get_template("page.html.j2")
    return found.render(script=script, script_hash=policy_hash(script), style=style)

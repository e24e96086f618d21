"""What a person sees of the hosted sign-in: a form, or a page that says why there is none, both without script."""

import base64
import hashlib
from html import escape

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { width: min(22rem, 90vw); }
form { display: grid; gap: .25rem; }
input, button { font: inherit; padding: .5rem .75rem; border: 1px solid GrayText; border-radius: .375rem; }
label, button { margin-top: .75rem; }
button { font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
[role=alert] { border-left: 4px solid; padding-left: .75rem; font-weight: 600; }
"""

STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""What a content security policy has to name for the pages' style."""


def form(action: str, csrf: str, username: str = "", problem: str = "") -> str:
    """The sign-in form; after a failed attempt with the name that was given and what was wrong."""
    alert = f'<p role="alert" id="problem">{escape(problem)}</p>' if problem else ""
    described = ' aria-describedby="problem" aria-invalid="true"' if problem else ""
    return _page(
        "Sign in",
        f"""<p>This is the sign-in of the embedded AWS, on this machine only. <code>bulwark outputs</code> shows
its users and their passwords.</p>
{alert}
<form method="post" action="{escape(action)}">
<input type="hidden" name="_csrf" value="{escape(csrf)}">
<label for="username">Username</label>
<input id="username" name="username" value="{escape(username)}" autocomplete="username" autocapitalize="none"
 spellcheck="false" required{described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{described}>
<button type="submit">Sign in</button>
</form>""",
    )


def refusal(message: str) -> str:
    """The page of a request that leads nowhere."""
    return _page("This sign-in cannot go on", f'<p role="alert">{escape(message)}</p>')


def _page(title: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · embedded AWS</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
"""

"""The desktop that OSWorld's tasks are carried out on: that of Debian's programs, as its tasks expect it."""

from __future__ import annotations

from lbi.environments.desktop.application import Desktop, Program, load_desktop
from lbi.environments.desktop.session import HOME
from lbi.sandbox.bubblewrap import PATH

BASE = "debian"
SIZE = 1920, 1080
PROGRAMS = f"{HOME}/.local/bin"
#: names by which getters look programs up in the accessibility tree: here the browser is that of Debian
CALLED = {"Chromium": "Google Chrome"}
#: what a home folder has there, and programs of ours that can be started; makes no state
KEPT_FOLDERS = (
    f'cd "{HOME}" && mkdir -p Desktop Documents Downloads Music Pictures Public Templates Videos '
    f"&& chmod 755 {PROGRAMS}/*"
)
#: where a machine has a user with a password, another terminal, a browser under another name
SETTINGS = {
    # what was moved or closed is found so when it is started again, as tasks are judged by it
    ".config/GIMP/2.10/gimprc": "(check-updates no)\n(show-tooltips no)\n",
    # a tab tells no use of memory in its name, which is another one at each look
    ".config/google-chrome/Local State": '{"browser": {"hovercard": {"memory_usage_enabled": false}}}',
    ".local/bin/python": '#!/bin/sh\nexec /usr/bin/python3 "$@"\n',
    ".local/bin/sudo": """#!/bin/sh
# whoever uses this desktop may do what can be done on it, and needs no password for it
while [ $# -gt 0 ]; do case "$1" in -u|-p|-g) shift 2 ;; -*) shift ;; *) break ;; esac; done
exec "$@"
""",
    # tasks end it by the name of its process
    ".local/bin/google-chrome": """#!/bin/sh
ln -sf /usr/lib/chromium/chromium "$HOME/.local/bin/chrome"
exec "$HOME/.local/bin/chrome" --force-renderer-accessibility --no-sandbox --disable-gpu --no-first-run \\
  --no-default-browser-check --password-store=basic --user-data-dir="$HOME/.config/google-chrome" "$@"
""",
}
IMPRESS = Program(
    name="impress",
    command=("soffice", "--impress", "--norestore", "--nologo"),
    package="libreoffice-impress",
    about="presentations",
    opens=(".fodp", ".odp", ".pptx", ".ppt"),
)


def desktop_of_tasks() -> Desktop:
    """Raises UserError where the desktop it is made of is not shipped."""
    base = load_desktop(BASE)
    return base.model_copy(
        update={
            "name": "osworld",
            "home": "",
            "width": SIZE[0],
            "height": SIZE[1],
            "start": "",
            "env": {**base.env, "PATH": f"{PROGRAMS}:{PATH}"},
            "settings": {**base.settings, **SETTINGS},
            "program": (*base.program, IMPRESS),
        }
    )

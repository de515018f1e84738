# Shared by the scripts of this folder's parent: source it, do not run it.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=$ROOT/.venv
# shellcheck disable=SC2034      # scripts/autobahn uses it
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ws4py_middleware
PYTHON_VERSIONS=(3.11 3.13 3.12 3.10)      # the best to develop with first
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONHOME || true

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The comment block at the head of the script is its manual.
show_help() { sed -n '2,/^[^#]/p' "$0" | sed -n 's/^# \{0,1\}//p'; exit "${1:-0}"; }

# find_python VERSION -- print an interpreter that really runs (a pyenv shim may not), or fail.
find_python() {
    local path
    for path in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python \
                "/usr/bin/python$1" "$(command -v python3 || true)"; do
        if [ -x "$path" ] && [ "$("$path" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]
        then echo "$path"; return 0; fi
    done
    return 1
}

# as_root COMMAND... -- run it as root, with sudo where that is needed; fail when it cannot be had.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then sudo "$@"
    else return 1; fi
}

# apt_install PACKAGE... -- install Debian packages, or say what to type.
apt_install() {
    command -v apt-get >/dev/null || die "please install $* (there is no apt-get here to do it with)"
    say "installing the Debian packages $*"
    { { [ -n "${APT_IS_FRESH:-}" ] || as_root apt-get -q update; } && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "$@"; } >/dev/null \
        || die "could not install them; please run: sudo apt-get install $*"
    export APT_IS_FRESH=1
}

# make_venv DIRECTORY PYTHON -- a virtual environment, also where Debian's python3-venv is missing.
make_venv() {
    local version
    rm -rf "$1"
    "$2" -m venv "$1" >/dev/null 2>&1 && return 0
    rm -rf "$1"
    "$2" -m virtualenv -q "$1" >/dev/null 2>&1 && return 0
    version=$("$2" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    apt_install "python$version-venv"
    "$2" -m venv "$1"
}

# ensure_installed DIRECTORY PYTHON EXTRAS -- the environment with this checkout and its extras in it,
# compiled. It is made anew only when pyproject.toml has changed since, and only what has changed is compiled.
ensure_installed() {
    local directory=$1 python=$2 extras=$3 wanted stamp
    wanted=$(cksum <"$ROOT/pyproject.toml")
    for stamp in "$directory/.installed-$extras" "$directory/.installed-dev"; do     # dev has them all
        if [ -x "$directory/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
            compile_in_place "$directory"
            return 0
        fi
    done
    "$directory/bin/python" -c 'import pip' 2>/dev/null || make_venv "$directory" "$python"
    say "installing ws4py_middleware[$extras] in $directory ($("$directory/bin/python" -V))"
    WS4PY_MIDDLEWARE_PURE=1 "$directory/bin/python" -m pip install --quiet --editable "${ROOT}[$extras]" \
        >"$directory/install.log" 2>&1 || { cat "$directory/install.log" >&2; die "the packages could not be installed"; }
    compile_in_place "$directory"
    echo "$wanted" >"$directory/.installed-$extras"
}

# compile_in_place DIRECTORY -- compile for the environment's interpreter what has changed; it needs the
# extra "build" there. The compiled modules of several interpreters lie side by side. Where nothing can be
# compiled that is an error, unless WS4PY_MIDDLEWARE_REQUIRE_COMPILED is 0.
compile_in_place() {
    if [ "${WS4PY_MIDDLEWARE_PURE:-}" = 1 ]; then return 0; fi      # nothing compiled is asked for
    if ! (cd "$ROOT" && WS4PY_MIDDLEWARE_PURE='' \
        WS4PY_MIDDLEWARE_REQUIRE_COMPILED=${WS4PY_MIDDLEWARE_REQUIRE_COMPILED:-1} "$1/bin/python" setup.py --quiet build_ext --inplace) >"$1/compile.log" 2>&1
    then cat "$1/compile.log" >&2; die "no C compiler, or no headers of Python? (Debian: gcc python3-dev)"; fi
}

# ensure_venv EXTRAS -- the same for .venv, with the Python that suits best ($PYTHON, when it is set).
ensure_venv() {
    local version python=${PYTHON:-}
    if [ -z "$python" ]; then
        for version in "${PYTHON_VERSIONS[@]}"; do
            if python=$(find_python "$version"); then break; fi
        done
    fi
    [ -n "$python" ] || die "no Python of ${PYTHON_VERSIONS[*]} found; set PYTHON to one"
    ensure_installed "$VENV" "$python" "$1"
}

# ensure_node -- Node, Debian's where there is none, and the packages that the tests of interoperation
# need, as they are in the lock file.
ensure_node() {
    local folder=$ROOT/tests/interop/node wanted
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then apt_install nodejs npm; fi
    wanted=$(cat "$folder/package.json" "$folder/package-lock.json" | cksum)
    if [ "$(cat "$folder/node_modules/.installed" 2>/dev/null)" = "$wanted" ]; then return 0; fi
    say "installing Node's packages in $folder (Node $(node --version))"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error \
        || die "Node's packages could not be installed; please run: npm ci --prefix $folder"
    echo "$wanted" >"$folder/node_modules/.installed"
}

# ensure_redis -- a redis-server (or valkey-server) on PATH. The tests start their own; Debian's service is
# not needed.
ensure_redis() {
    if command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then return 0; fi
    apt_install redis-server
}

# ensure_proxies -- nginx, HAProxy, Apache httpd and stunnel, which the tests start themselves. No service is
# wanted: where nothing says yet what a package may start, a policy-rc.d (invoke-rc.d asks it) forbids it all
# while these are installed. apache2-bin is the program without a service.
ensure_proxies() {
    local program policy=/usr/sbin/policy-rc.d missing=()
    export PATH=$PATH:/usr/sbin      # where Debian has them; a user's PATH may not
    for program in nginx:nginx haproxy:haproxy apache2:apache2-bin stunnel:stunnel4; do
        command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
    done
    if [ ${#missing[@]} = 0 ]; then return 0; fi
    if [ -e "$policy" ]; then apt_install "${missing[@]}"; return 0; fi
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy" 2>/dev/null || policy=''
    # In a subshell: it may end the script, and the file has to go before.
    (apt_install "${missing[@]}") || { [ -z "$policy" ] || as_root rm -f "$policy"; exit 1; }
    [ -z "$policy" ] || as_root rm -f "$policy"
}

# ensure_shell -- what the tutorial types: curl, and a Python whose venv has pip.
ensure_shell() {
    if ! command -v curl >/dev/null; then apt_install curl; fi
    if ! "$VENV/bin/python" -c 'import ensurepip' 2>/dev/null; then
        apt_install "python$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
}

# ensure_counters -- strace and valgrind, which count system calls and instructions.
ensure_counters() {
    if command -v strace >/dev/null && command -v valgrind >/dev/null; then return 0; fi
    apt_install strace valgrind
}

# ensure_chromium -- a chromium on PATH: Debian's; elsewhere (Ubuntu's package is a snap, which cannot
# see the profiles that tests make) the one that Playwright fetches, linked into .venv/bin.
ensure_chromium() {
    export PATH=$VENV/bin:$PATH
    case $(readlink -f "$(command -v chromium || true)") in '' | */snap*) ;; *) return 0;; esac
    if grep -qx 'ID=debian' /etc/os-release; then apt_install chromium; return; fi
    say "fetching Chromium with Playwright"
    as_root "$VENV/bin/playwright" install-deps chromium >/dev/null \
        || die "Chromium's libraries are missing; please run: sudo $VENV/bin/playwright install-deps chromium"
    "$VENV/bin/playwright" install chromium >/dev/null
    ln -sf "$("$VENV/bin/python" -c 'from playwright.sync_api import sync_playwright as start
with start() as playwright: print(playwright.chromium.executable_path)')" "$VENV/bin/chromium"
}

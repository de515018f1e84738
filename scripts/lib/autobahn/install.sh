#!/usr/bin/env bash
# install.sh DIR -- install the Autobahn WebSocket testsuite (wstest) in DIR.
#
# The testsuite is Python 2.7 code. Nothing is patched and nothing is copied: every package comes
# from PyPI by name, at an exact version.
#
# Needs: bash, Python 2.7 (see below), network access to PyPI. A C compiler makes wsaccel, without
# which 9.* takes several times longer.
#
# Where Python 2.7 comes from, first hit wins:
#   1. $PYTHON27                       (an explicit interpreter)
#   2. ~/.pyenv/versions/2.7.18        (or $PYENV_ROOT/versions/2.7.18)
#   3. python2.7 on PATH               (when it really runs)
#   4. Debian 11's packages, fetched by apt into DIR/py27 and unpacked there: no root, and nothing
#      installed system-wide. FORCE_DEB11=1 picks this at once. DEB11_MIRROR names a mirror.
#
# Result: DIR/bin/wstest, and DIR/bin/wstest-loopback, which is wstest with every listening socket
# bound to 127.0.0.1 (plain wstest binds to all interfaces) and with reports also from a run that
# was ended early. DIR/ready is written last.
set -euo pipefail
shopt -s inherit_errexit
case ${1:-} in
    ''|-h|--help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit $(( $# == 0 ? 2 : 0 ));;
esac
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
rm -f "$DIR/ready"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE='' PYTHONWARNINGS=ignore
unset PYTHONPATH PYTHONHOME || true

works() { [ -x "$1" ] && "$1" -c 'import sys, ssl, zlib, ctypes; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1; }

deb11_mirrors() {       # the mirror this machine's own apt is set up with, then the public ones
    if [ -n "${DEB11_MIRROR:-}" ]; then echo "$DEB11_MIRROR"; return; fi
    if grep -qx 'ID=debian' /etc/os-release; then
        # shellcheck disable=SC2016     # apt's own variable
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1 || true
    fi
    echo http://deb.debian.org/debian
    echo http://archive.debian.org/debian       # where old releases go
}

deb11_keyring() {       # prints the keyring's path; Ubuntu has it in a package
    local ring=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ ! -e $ring ]; then
        ( cd "$1" && apt-get -q download debian-archive-keyring >&2 && dpkg-deb -x debian-archive-keyring_*.deb . )
        ring=$1$ring
    fi
    echo "$ring"
}

deb11_python27() {      # prints the interpreter's path
    local root=$DIR/py27 arch keyring mirror fetched='' libs deb
    rm -rf "$root"
    arch=$(dpkg --print-architecture)
    mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial" "$root/debs"
    keyring=$(deb11_keyring "$root/apt")
    : >"$root/apt/status"
    # An archived release's index is past its date; its signature is checked all the same.
    local options=(-o "Dir::Etc::SourceList=$root/apt/sources.list" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$root/apt/lists" -o "Dir::State::status=$root/apt/status"
        -o "Dir::Cache=$root/apt/cache" -o APT::Sandbox::User= -o Acquire::Languages=none
        -o Acquire::Check-Valid-Until=false -o "APT::Architecture=$arch")
    for mirror in $(deb11_mirrors); do
        echo "deb [signed-by=$keyring] $mirror bullseye main" >"$root/apt/sources.list"
        # Python itself, its headers for wsaccel, and two libraries that newer releases lack.
        if apt-get "${options[@]}" -q update >&2 && ( cd "$root/debs" && apt-get "${options[@]}" -q download \
                python2.7-minimal libpython2.7-minimal libpython2.7-stdlib python2.7 \
                libpython2.7 libpython2.7-dev libffi7 libssl1.1 >&2 )
        then fetched=1; break; fi
    done
    [ -n "$fetched" ] || { echo "no mirror has Debian 11's python2.7; set PYTHON27 or DEB11_MIRROR" >&2; return 1; }
    for deb in "$root"/debs/*.deb; do dpkg-deb -x "$deb" "$root/root"; done
    rm -rf "$root/apt" "$root/debs"
    libs=$(dirname "$(find "$root/root" -name libssl.so.1.1 | head -n 1)")
    # A wrapper, so that the interpreter finds its own libraries and the system's are left alone.
    write_wrapper "$root/python2.7" "$libs" "$root/root/usr/bin/python2.7"
    echo "$libs" >"$root/libs"
    echo "$root/python2.7"
}

write_wrapper() {       # write_wrapper FILE LIBRARIES PROGRAM
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %s "$@"\n' "$2" "$3" >"$1"
    chmod +x "$1"
}

find_python27() {
    local path
    if [ -z "${FORCE_DEB11:-}" ]; then
        for path in "${PYTHON27:-}" "${PYENV_ROOT:-$HOME/.pyenv}/versions/2.7.18/bin/python2.7" \
                    "$(command -v python2.7 || true)"; do
            if [ -n "$path" ] && works "$path"; then echo "$path"; return; fi
        done
    fi
    deb11_python27
}

fetch_virtualenv() {    # virtualenv 16.7.12: the last single-file one, with the last pip for Python 2
    local python
    if "$PY" -m pip --version >/dev/null 2>&1; then
        "$PY" -m pip install -qq --target "$BOOT" 'virtualenv==16.7.12'
        return
    fi                  # Debian's python2.7 has no pip: any pip 3 can fetch the wheel
    for python in "${PYTHON3:-python3}" python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then break; fi
    done
    "$python" -m pip download -qq --no-deps -d "$BOOT" --only-binary=:all: \
        --python-version 2.7 --implementation py --abi none --platform any 'virtualenv==16.7.12'
    ( cd "$BOOT" && "$PY" -c 'import glob,zipfile; zipfile.ZipFile(glob.glob("virtualenv-*.whl")[0]).extractall(".")' )
}

PY=$(find_python27)
works "$PY" || { echo "no working Python 2.7: $PY" >&2; exit 1; }
echo "Python 2.7: $PY"
BOOT=$(mktemp -d)
trap 'rm -rf "$BOOT"' EXIT
fetch_virtualenv
rm -rf "${DIR:?}/bin" "${DIR:?}/lib"
PYTHONPATH=$BOOT "$PY" -m virtualenv -q --no-download "$DIR"
VPY=$DIR/bin/python
if [ -e "$DIR/py27/libs" ]; then        # the new interpreter needs the library path, too
    real=$(readlink -f "$VPY")
    mv "$real" "$DIR/bin/python2.7.bin"
    write_wrapper "$real" "$(cat "$DIR/py27/libs")" "$DIR/bin/python2.7.bin"
fi

# --no-deps: the list is the whole closure. Only autobahn, txaio and PyHamcrest come as sdists, and
# all three are pure Python.
cat >"$DIR/requirements.txt" <<'REQUIREMENTS'
setuptools==44.0.0
autobahntestsuite==25.10.1
autobahn==0.10.9
Twisted==19.10.0
zope.interface==4.6.0
txaio==2.1.0
six==1.16.0
incremental==16.10.1
constantly==15.1.0
Automat==22.10.0
hyperlink==21.0.0
PyHamcrest==1.10.1
attrs==21.4.0
idna==2.10
typing==3.10.0.0
pyOpenSSL==19.1.0
cryptography==3.3.2
cffi==1.15.1
pycparser==2.21
enum34==1.1.10
ipaddress==1.0.23
service-identity==18.1.0
pyasn1==0.5.1
pyasn1-modules==0.3.0
klein==17.10.0
Werkzeug==1.0.1
Jinja2==2.11.3
MarkupSafe==1.1.1
ujson==2.0.3
unittest2==1.1.0
traceback2==1.4.0
linecache2==1.0.0
REQUIREMENTS
"$VPY" -m pip install -qq --no-deps --no-build-isolation -r "$DIR/requirements.txt"
# wsaccel (masking, UTF-8): its sdist holds the generated C, so no Cython is needed.
"$VPY" -m pip install -qq --no-deps --no-build-isolation 'wsaccel==0.6.6' >"$DIR/wsaccel.log" 2>&1 \
    || echo "wsaccel was not built (no compiler? see $DIR/wsaccel.log): wstest works, slower" >&2

cat >"$DIR/bin/wstest-loopback" <<LAUNCHER
#!$VPY
# wstest, with two differences: every listening socket is on 127.0.0.1 (override: WSTEST_INTERFACE),
# and a run that is ended early (SIGTERM, SIGINT) still writes its reports.
import os
import sys
import autobahntestsuite.choosereactor  # as wstest does: before the reactor exists
from twisted.internet import reactor
from autobahntestsuite import fuzzing, wstest

iface = os.environ.get('WSTEST_INTERFACE', '127.0.0.1')
listen_tcp, listen_ssl = reactor.listenTCP, reactor.listenSSL
reactor.listenTCP = (lambda port, factory, backlog=50, interface='':
                     listen_tcp(port, factory, backlog, interface or iface))
reactor.listenSSL = (lambda port, factory, context, backlog=50, interface='':
                     listen_ssl(port, factory, context, backlog, interface or iface))

pending = set()   # factories with results that no report holds yet
log_case, create_reports = fuzzing.FuzzingFactory.logCase, fuzzing.FuzzingFactory.createReports


def logged(self, results):
    pending.add(self)
    log_case(self, results)


def created(self, *args, **kwargs):
    pending.discard(self)
    create_reports(self, *args, **kwargs)


fuzzing.FuzzingFactory.logCase, fuzzing.FuzzingFactory.createReports = logged, created
reactor.addSystemEventTrigger('before', 'shutdown', lambda: [f.createReports() for f in list(pending)])
sys.exit(wstest.run())
LAUNCHER
chmod +x "$DIR/bin/wstest-loopback"

# The names of the cases, for programs that are not Python 2.
"$VPY" - >"$DIR/cases.json" <<'CASES'
import json
from autobahntestsuite.case import Cases, CaseCategories, CaseSubCategories, CaseSetname, CaseBasename
from autobahntestsuite.caseset import CaseSet
known = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
print(json.dumps({"cases": known.parseSpecCases({"cases": ["*"], "exclude-cases": []}),
                  "sections": dict(CaseCategories)}))
CASES
touch "$DIR/ready"
echo "ready: $DIR/bin/wstest-loopback"

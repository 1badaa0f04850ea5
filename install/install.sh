#!/usr/bin/env bash
# From a bare Debian 12 to the program in /opt/oose, out of the tree that this script lies in.
#   install.sh                 installs the program, and starts nothing
#   install.sh prism ...       then goes on as `oose install prism ...`; so do store, and --pretend
#   install.sh --release       installs it beside the one in use, and prints where: for `oose upgrade`
# May be run again: what is there already stays.
set -euo pipefail
umask 022
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
opt=/opt/oose
contents=(oose twisted install config docs pyproject.toml setup.py requirements.lock README.md
    LICENSE CHANGELOG.md)

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

check_system() {
    [ "$(id -u)" = 0 ] || fail "this installs packages and users: root may, or sudo"
    local ID="" VERSION_ID=0
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    [ "$ID" = debian ] && [ "${VERSION_ID%%.*}" -ge 12 ] ||
        fail "this is made for Debian 12 and later; here is ${PRETTY_NAME:-another system}"
}

pack() { # the same bytes whenever the tree is the same
    tar --create --directory "$tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX --exclude=__pycache__ --exclude='*.egg-info' --exclude=dropin.cache \
        "${contents[@]}"
}

# Releases are made one at a time: who was ended may have left children that still make one. They
# have the lock too, which goes with the last of them.
alone() {
    mkdir -p "$opt/releases"
    (
        flock --nonblock 9 || {
            echo "Waiting for another install.sh, which is making a release"
            flock 9
        }
        "$@"
    ) 9>"$opt/releases/.lock"
}

make_release() {
    [ ! -e "$release/.complete" ] || return 0 # by the one before
    echo "Making $release"
    rm -rf "$release" # what an earlier attempt left
    mkdir -p "$release"
    pack | tar --extract --directory "$release"
    python3 -m venv "$release/venv"
    local python="$release/venv/bin/python"
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
    "$python" -m pip install --quiet --requirement "$release/requirements.lock"
    "$python" -m pip install --quiet --no-deps "$release"
    rm -rf "$release/build" "$release"/*.egg-info
    # twistd's list of plugins: who runs the service may not write it.
    "$python" -c 'from twisted import plugin; list(plugin.getPlugins(plugin.IPlugin))'
    sync --file-system "$release" # or a power cut might leave the mark, and not what it stands for
    touch "$release/.complete"
}

check_system
if [ "$(dirname "$tree")" = "$(readlink -f "$opt/releases")" ] && [ ! -e "$tree/.complete" ]; then
    fail "$tree was left unfinished, so no release can be made of it:" \
        "run install/install.sh of a tree elsewhere"
fi
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$tree/oose/__init__.py")
[ -n "$version" ] || fail "$tree is no tree of the program"
release=$opt/releases/$version-$(pack | sha256sum | cut -c 1-12)
in_use=$(readlink "$opt/current" || true)

if [[ " $* " = *" --pretend "* ]] && [ "$in_use" != "$release" ]; then
    echo "- install from Debian what is missing of: python3-venv ca-certificates"
    echo "- make $release, with what requirements.lock names"
    echo "- link $opt/current to it"
    echo "The rest is known when the program is there: $0 without arguments, which starts nothing"
    exit 0
fi

sh "$tree/install/packages.sh" python3-venv ca-certificates
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or later is needed; python3 is $(python3 --version)"
[ -e "$release/.complete" ] || alone make_release
if [ "${1:-}" = --release ]; then
    echo "$release"
    exit 0
fi

if [ "$in_use" != "$release" ]; then
    if [ -x "$opt/current/venv/bin/oose" ]; then # with its checks, and a way back
        "$opt/current/venv/bin/oose" upgrade "$tree"
    else
        ln -s "$release" "$opt/.current.$$"
        mv -T "$opt/.current.$$" "$opt/current"
    fi
fi
[ $# -gt 0 ] || {
    echo "The program is in $release. Next: $opt/current/venv/bin/oose install --help"
    exit 0
}
exec "$opt/current/venv/bin/oose" install "$@"

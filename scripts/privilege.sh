# Sourced: may this user install Debian packages? Sets AS_ROOT to "", "sudo" or "no".
if ! command -v apt-get >/dev/null 2>&1; then
    AS_ROOT=no
elif [ "$(id -u)" -eq 0 ]; then
    AS_ROOT=
elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
    AS_ROOT=sudo
else
    AS_ROOT=no
fi

# Installs the named Debian packages without asking; fails when that is not possible.
apt_install() {
    [ "$AS_ROOT" != no ] || return 1
    $AS_ROOT env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    # The package lists may be missing (fresh container) or old: fetch them once, then try again.
    $AS_ROOT apt-get update >/dev/null 2>&1 || true
    $AS_ROOT env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# What scripts/demo and scripts/test share: where things are, and what must be installed. Sourced, not run.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The one folder that anything is left in. Outside the checkout, since PostgreSQL's and the sites' unprivileged users must
# be able to walk into it, and short, since socket paths are.
WORK=${CONFLEET_WORK:-/var/tmp/confleet}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8
unset "${!PG@}"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Runs itself again as root when it is not: throw-away servers start as users of their own.
become_root() {
    [ "$(id -u)" = 0 ] && return
    command -v sudo >/dev/null || die "run this as root, or install sudo"
    exec sudo --preserve-env=CONFLEET_WORK,CONFLEET_SHARED,CI "$@"
}

installed_version() {   # PACKAGE: its version, empty when it is not installed
    dpkg-query -W -f='${db:Status-Abbrev}${Version}\n' "$1" 2>/dev/null | sed -n 's/^ii *//p'
}

missing_packages() {   # [CLASS]: beside what everybody needs, what this class needs ("bench": the rivals of scripts/bench)
    local name least for have
    while read -r name least for; do
        case $name in ''|'#'*) continue;; esac
        case $for in build|run|"${1-}") ;; *) continue;; esac
        have=$(installed_version "$name")
        if [ -z "$have" ] || { [ "$least" != - ] && dpkg --compare-versions "$have" lt "$least"; }; then
            echo "$name"
        fi
    done < "$ROOT/scripts/packages.txt"
}

# Installs what is missing and nothing else. No service is started: PostgreSQL is kept from making its main cluster, and
# Tomcat comes as jars without its service.
install_missing() {   # [CLASS]
    local missing conf=/etc/postgresql-common/createcluster.d/confleet.conf made=
    missing=$(missing_packages "${1-}")
    [ -n "$missing" ] || return 0
    [ -r /etc/debian_version ] || die "this is not Debian; install what scripts/packages.txt lists, then run this again"
    say "installing:" $missing
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || die "apt-get update failed; the packages above cannot be installed"
    if [ -z "$(installed_version postgresql-15)" ] && [ ! -e "$conf" ]; then
        mkdir -p "${conf%/*}" && echo 'create_main_cluster = false' > "$conf" && made=1
    fi
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing > "$WORK/install.log" 2>&1 || {
        tail -n 20 "$WORK/install.log" >&2
        die "apt-get install failed; the whole output is in $WORK/install.log"
    }
    [ -z "$made" ] || rm -f "$conf"
    missing=$(missing_packages "${1-}")
    [ -z "$missing" ] || die "still missing or too old after the installation: $missing"
}

build() {   # PRESET [TARGET…]
    local preset=$1 log="$ROOT/build/$1.log"
    shift
    mkdir -p "$ROOT/build"
    { cmake -S "$ROOT" --preset "$preset" && cmake --build "$ROOT/build/$preset" ${1:+--target "$@"}; } > "$log" 2>&1 || {
        tail -n 40 "$log" >&2
        die "building $preset failed; the whole output is in $log"
    }
}

#!/bin/bash
# Stops Confluence through its shutdown port, waits, and kills what does not go (facts 1.2, 6:
# 20 seconds of grace). `stop.wait` in the stand-in's switches shortens the grace for tests.
PRGDIR=$(cd "$(dirname "$0")" && pwd -P)
. "$PRGDIR/user.sh"

if [ -n "$CONF_USER" ] && [ "$(id -un)" != "$CONF_USER" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "cannot stop as $CONF_USER: run as root or as that user" >&2
        exit 1
    fi
    echo "executing using dedicated user: $CONF_USER"
    cd "$PRGDIR" && exec su -m -s /bin/bash "$CONF_USER" -c "exec '$PRGDIR/stop-confluence.sh' $*"
fi
echo "executing as current user"
. "$PRGDIR/standin-switches.sh"
WAIT=$(standin_switch stop.wait)
cd "$PRGDIR" || exit 1
if [ $# -gt 0 ]; then
    exec "$PRGDIR/catalina.sh" stop "$@"
fi
exec "$PRGDIR/catalina.sh" stop "${WAIT:-20}" -force

#!/bin/bash
# Starts Confluence in the background and returns (facts 1.2). CONF_USER of user.sh, when it is
# set and is not the caller, becomes the owner of the process.
PRGDIR=$(cd "$(dirname "$0")" && pwd -P)
. "$PRGDIR/user.sh"

if [ -n "$CONF_USER" ] && [ "$(id -un)" != "$CONF_USER" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "cannot start as $CONF_USER: run as root or as that user" >&2
        exit 1
    fi
    echo "executing using dedicated user: $CONF_USER"
    cd "$PRGDIR" && exec su -m -s /bin/bash "$CONF_USER" -c "exec '$PRGDIR/start-confluence.sh'"
fi
echo "executing as current user"
# Nothing of the caller stays behind in the server: descriptors closed, own session.
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then
        eval "exec $fd>&-"
    fi
done
cd "$PRGDIR" || exit 1
setsid -w "$PRGDIR/catalina.sh" start </dev/null

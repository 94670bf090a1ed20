#!/bin/bash
exec "$(dirname "$0")/catalina.sh" stop "$@"

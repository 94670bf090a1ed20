# The world of scripts/demo: PostgreSQL, five sites, controller, agents, people; how they are started, shown and stopped.
# Sourced, not run.
D="$WORK/demo"
PY=/usr/bin/python3
# Site N is looked after by agent wiki-N.
SITES="sandbox docs legal sales support"

bin() { case $1 in confleet|confleet-controller) echo "$ROOT/build/gcc/controller/$1";; *) echo "$ROOT/build/gcc/agent/$1";; esac; }

# --- stopping: only what this demo started, also when it was interrupted anywhere

# It must still be a program of this build or of this script, at work in the demo's folder: pids are used again.
our_process() {   # PID
    case $(readlink "/proc/$1/exe" 2>/dev/null) in "$ROOT"/build/gcc/*|*/java|*/python3*) ;; *) return 1;; esac
    tr '\0' '\n' < "/proc/$1/cmdline" 2>/dev/null | grep -qF "$D/"
}

stop_program() {   # NAME
    local pid
    [ -r "$D/$1.pid" ] || return 0
    pid=$(cat "$D/$1.pid")
    if our_process "$pid"; then
        kill "$pid" 2>/dev/null
        kill -CONT "$pid" 2>/dev/null   # the one that was made silent would not hear it
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        our_process "$pid" && kill -KILL "$pid" 2>/dev/null
    fi
    rm -f "$D/$1.pid"
}

# Sites that were caught in the middle of a switch have no folder that their own stop would look in.
stop_left_over() {
    local pid
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        our_process "$pid" && kill -KILL "$pid" 2>/dev/null
    done
}

world_stop() {
    local name
    [ -d "$D" ] || return 0
    for name in follower watcher agent-1 agent-2 agent-3 agent-4 agent-5 controller; do stop_program $name; done
    for name in $SITES; do
        [ -d "$D/$name" ] && $PY "$ROOT/tests/standin/site" stop "$name" --root "$D" > /dev/null 2>&1
    done
    [ -d "$D/pg" ] && $PY "$ROOT/tests/standin/pg" stop "$D/pg" --remove > /dev/null 2>&1
    stop_left_over
    return 0
}

# --- showing

title() { printf '\n\033[1m== %s\033[0m\n' "$*" | if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }
note() { printf '%s\n' "$*"; }
# Shows a command as that person would type it, then runs it with that person's keys.
type_and_run() {   # PERSON PROGRAM WORDS…
    local person=$1 program=$2
    shift 2
    printf '%s$ %s' "$person" "$program"
    words "$@"
    CONFLEET_HOME="$D/home-$person" "$(bin "$program")" "$@" 2>&1
}
words() {
    local word
    for word in "$@"; do case $word in *[!A-Za-z0-9_./:=,-]*) printf ' "%s"' "$word";; *) printf ' %s' "$word";; esac; done
    printf '\n'
}
chief() { type_and_run chief "$@"; }
olaf() { type_and_run olaf "$@"; }
anna() { type_and_run anna "$@"; }
olaf_quiet() { CONFLEET_HOME="$D/home-olaf" "$(bin confleet)" "$@"; }
chief_quiet() { CONFLEET_HOME="$D/home-chief" "$(bin confleet)" "$@"; }

expect() {   # STATUS COMMAND…
    local want=$1 got=0
    shift
    "$@" || got=$?
    [ "$got" = "$want" ] || die "'$*' ended with status $got, expected $want"
}

wait_until() {   # SECONDS WHAT COMMAND…
    local seconds=$1 what=$2 end
    shift 2
    end=$(( $(date +%s) + seconds ))
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || die "waited $seconds s for $what"
        sleep 0.1
    done
}

# A command that goes on while others are typed: its lines are shown by follow_until and follow_end, in between they wait.
follow_start() {   # PERSON PROGRAM WORDS…
    local person=$1 program=$2
    shift 2
    printf '%s$ %s' "$person" "$program"
    words "$@"
    : > "$D/follow.txt"
    rm -f "$D/follow.status"
    follow_shown=0
    {
        CONFLEET_HOME="$D/home-$person" "$(bin "$program")" --home "$D/home-$person" "$@" >> "$D/follow.txt" 2>&1 < /dev/null &
        echo $! > "$D/follower.pid"
        wait $!
        echo $? > "$D/follow.new" && mv "$D/follow.new" "$D/follow.status"
    } &
}
follow_show() {   # shows the lines that are new; true: one of them is the pattern's
    local lines
    lines=$(wc -l < "$D/follow.txt")
    [ "$lines" -gt "$follow_shown" ] || return 1
    sed -n "$((follow_shown + 1)),${lines}p" "$D/follow.txt" > "$D/follow.part"
    follow_shown=$lines
    cat "$D/follow.part"
    [ -n "$1" ] && grep -q -- "$1" "$D/follow.part"
}
follow_skip() {   # PATTERN WORDS: the lines before the first of this pattern are left out, and words say so
    wait_until 30 "'$1'" grep -q -- "$1" "$D/follow.txt"
    follow_shown=$(( $(grep -n -m 1 -- "$1" "$D/follow.txt" | cut -d: -f1) - 1 ))
    note "… $2"
}
follow_until() {   # PATTERN SECONDS
    local end=$(( $(date +%s) + $2 ))
    until follow_show "$1"; do
        [ ! -e "$D/follow.status" ] || die "the command ended before '$1'"
        [ "$(date +%s)" -lt "$end" ] || die "waited $2 s for '$1'"
        sleep 0.1
    done
}
follow_end() {   # STATUS…: shows all that comes; the command must end with one of these
    local end=$(( $(date +%s) + 300 )) status
    until [ -e "$D/follow.status" ]; do
        follow_show ''
        [ "$(date +%s)" -lt "$end" ] || die "waited 300 s for the command to end"
        sleep 0.1
    done
    follow_show ''
    rm -f "$D/follower.pid"
    read -r status < "$D/follow.status"
    case " $* " in *" $status "*) ;; *) die "the command ended with status $status, expected $*";; esac
}

# --- what is promised: looked at from outside, or from --json, never from the text that was shown

promise() {   # WORDS CHECK ARGUMENTS…
    local words=$1
    shift
    olaf_quiet rollout status --watch=false --json > "$D/view.json" 2> /dev/null
    $PY "$ROOT/scripts/demo_promises.py" "$D" "$@" || die "not as promised: $words"
    printf '  checked: %s\n' "$words"
}
fingerprint() {   # SITE OUT
    $PY "$ROOT/tests/harness/fingerprint" --running --install "$D/$1/install" --home "$D/$1/home" \
        --pg "host=$D/pg port=$pg_port user=postgres dbname=$1" --json > "$D/$2" || die "fingerprint of $1"
}
total() { $PY -c 'import hashlib, json, sys; d = json.load(open(sys.argv[1])); print(hashlib.sha256(json.dumps(d, sort_keys=True).encode()).hexdigest())' "$1"; }
build_of() { psql -h "$D/pg" -p "$pg_port" -U postgres -d "$1" -AtXc 'select max(buildnumber) from confversion'; }
is_online() { chief_quiet agent show "$1" --json | $PY -c 'import json, sys; sys.exit(not json.load(sys.stdin)["agent"].get("online"))'; }
has_reported() { chief_quiet agent show "$1" --json | grep -q '"install"'; }

# --- starting

free_port() { $PY -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
background() {   # NAME PROGRAM WORDS…
    local name=$1 program=$2
    shift 2
    setsid "$program" "$@" >> "$D/$name.log" 2>&1 < /dev/null &
    echo $! > "$D/$name.pid"
}

sites_start() {
    local name n=0 jobs=
    $PY "$ROOT/tests/standin/pg" start "$D/pg" > /dev/null || die "PostgreSQL did not start; see $D/pg/log"
    pg_port=$(cat "$D/pg/port")
    $PY "$ROOT/tests/standin/dist" 9.2.21 --form tomcat --out "$D/dist" > /dev/null || die "cannot build the release 9.2.21"
    for name in $SITES; do
        n=$((n + 1))
        $PY "$ROOT/tests/standin/site" create --root "$D" --name "$name" --version 9.2.13 --form tomcat --pg-socket "$D/pg" \
            --pg-port "$pg_port" --db "$name" --db-user "${name}_user" --db-password "secret-of-$name" \
            --http-port "$(free_port)" --shutdown-port "$(free_port)" --user nobody --safety 2 \
            --effects "$D/$name.effects" --seed $n > /dev/null || die "cannot make site $name"
    done
    echo 'fault.9116=schema-task' >> "$D/legal/home/standin.properties"
    for name in $SITES; do
        $PY "$ROOT/tests/standin/site" start "$name" --root "$D" --wait 90 > /dev/null &
        jobs="$jobs $!"
    done
    for n in $jobs; do wait "$n" || die "a site did not start"; done
}

person_enrol() {   # NAME ROLE
    chief confleet operator token "$1" --role "$2" --join "$1.join" > "$D/token.txt" || die "no token for $1"
    type_and_run "$1" confleet enrol "$1.join" > "$D/enrol-$1.txt" || die "$1 could not enrol"
    sed -n '/^enrolled/p' "$D/enrol-$1.txt"
}

agent_start() {   # N SITE: the first one is shown in full, the others go the same way
    local n=$1 site=$2 to="$D/agent-$1/enrol-all.txt"
    mkdir -p -m 700 "$D/agent-$n"
    cat > "$D/agent-$n/agent.yaml" <<Y
state_dir: $D/agent-$n/state
backup_dir: $D/agent-$n/backup
worker: $(bin confleet-worker)
soak_probe: 1s
search:
  - $D/$site
database_admin: "host=$D/pg port=$pg_port user=postgres"
policy:
  operations: [check, backup, upgrade, rollback]
  installations: [$D/$site/install]
Y
    chief confleet agent token "wiki-$n" --join "wiki-$n.join" >> "$to" || die "no token for wiki-$n"
    type_and_run root confleet-agent enrol "wiki-$n.join" --config "agent-$n/agent.yaml" > "$D/agent-$n/enrol.txt" \
        || die "wiki-$n could not enrol"
    cat "$D/agent-$n/enrol.txt" >> "$to"
    background "agent-$n" "$(bin confleet-agent)" run --config "$D/agent-$n/agent.yaml"
    chief confleet agent accept "wiki-$n" --fingerprint \
        "$(grep -o 'SHA256:[0-9a-f: -]*' "$D/agent-$n/enrol.txt" | head -n 1 | sed 's/ *$//')" >> "$to" || die "wiki-$n was not accepted"
    [ "$n" != 1 ] || cat "$to"
}

inventory_make() {
    local name n=0
    for name in $SITES; do
        n=$((n + 1))
        wait_until 60 "agent wiki-$n to report its installation" has_reported "wiki-$n"
        chief confleet site set "$name" "env=$([ "$name" = sandbox ] && echo test || echo production)" \
            --node "wiki-$n:$D/$name/install" > "$D/set.txt" || die "site $name could not be set"
        [ "$n" -gt 1 ] || cat "$D/set.txt"
    done
    for name in $SITES; do
        [ "$name" = sandbox ] || chief_quiet site set sandbox --covers "$name" > "$D/covers.txt" || die "sandbox cannot cover $name"
    done
    cat "$D/covers.txt"
    chief_quiet site set archive env=archive > /dev/null || die "site archive could not be set"
}

world_start() {
    local name n=0 began
    began=$(date +%s)
    say "== five sites of the stand-in for Confluence (real Tomcat 10, real PostgreSQL), each with its own home and database"
    sites_start

    title "Set-up: the controller, and the people: chief (admin), Olaf (operator), Anna (approver)"
    local control="tcp://127.0.0.1:$(free_port)" bulk="tcp://127.0.0.1:$(free_port)"
    printf 'heartbeat: 2s\norder_deadline: 15s\n' > "$D/controller.yaml"
    type_and_run root confleet-controller init --state controller --control "$control" --bulk "$bulk" --operator chief \
        --join chief.join || exit 1
    background controller "$(bin confleet-controller)" run --state "$D/controller" --config "$D/controller.yaml"
    wait_until 20 "the controller" grep -q "controller.ready" "$D/controller.log"
    chief confleet enrol chief.join || exit 1
    person_enrol olaf operator
    person_enrol anna approver

    title "Set-up: five agents, each enrolled with a one-time token and accepted by its fingerprint; the first one in full"
    for name in $SITES; do n=$((n + 1)); agent_start $n "$name"; done
    note "wiki-2 to wiki-5 went the same way."

    title "Set-up: the inventory and the release"
    inventory_make
    chief confleet release import --artifact dist/atlassian-confluence-9.2.21.tar.gz --version 9.2.21 --build 9116 || exit 1
    cat > "$D/spring.yaml" <<'Y'
name: spring-upgrade
release: "9.2.21"
stages:
  - name: test
    select: { env: test }
    soak: 4s
  - name: production
    select: { env: production }
    needs: { stage: test, approvals: 1, covered: true }
    batch: [1, 2, rest]
    soak: 2s
    gate: { max_failed: 1, max_silent: 0 }
on_failure: rollback
Y
    background watcher $PY "$ROOT/scripts/demo_promises.py" "$D" watch "$(bin confleet)" "$D/samples.jsonl"
    note "The set-up took $(( $(date +%s) - began )) s."
}

# shellcheck shell=bash
# The long-running programs of a cluster: each has a log, and a record of which process it is.

# daemon_start NAME COMMAND…
# The environment is dropped: a proxy set in it would take the cluster's own traffic.
daemon_start() {
  local name=$1
  shift
  env -i PATH="$PATH" HOME=/ setsid "$@" >"$cluster/logs/$name.log" 2>&1 </dev/null 8<&- 9<&- &
  printf '%s %s\n' "$!" "$(process_birth "$!")" >"$cluster/daemons/$name"
  disown "$!"
}

# Tells a process from a later one of the same number: its start, in clock ticks since boot.
process_birth() {
  local line
  local -a fields
  { line=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  read -ra fields <<<"${line##*) }"
  [[ ${fields[0]} == [ZX] ]] || printf '%s\n' "${fields[19]}"
}

daemon_is_alive() {
  local pid birth
  read -r pid birth <"$cluster/daemons/$1" && [[ -n $birth && $(process_birth "$pid") == "$birth" ]]
}

daemon_names() {
  local record
  for record in "$cluster"/daemons/*; do printf '%s\n' "${record##*/}"; done
}

# wait_for NAME SECONDS COMMAND…: until the command succeeds; NAME is the daemon to blame when it does not.
wait_for() {
  local blamed=$1 deadline=$((SECONDS + $2)) name
  shift 2
  until ("$@") >/dev/null 2>&1; do
    for name in $(daemon_names); do
      daemon_is_alive "$name" || daemon_failed "$name" "ended"
    done
    ((SECONDS < deadline)) || daemon_failed "$blamed" "is not ready"
    sleep 0.1
  done
}

daemon_failed() {
  say "the last lines of $1:"
  tail -n 12 "$cluster/logs/$1.log" | cut -c1-300 | sed 's/^/  /' >&2
  die "$1 $2"
}

# shellcheck shell=bash
# What a person is told while a command runs. All of it goes to stderr: stdout is for answers.

say() { printf '%s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# shellcheck shell=bash
# The system's own programs that a cluster needs, as packages of Debian where they are missing.

network_plugin_folders=(/usr/lib/cni /opt/cni/bin)

# command:package
packages_needed=(
  containerd:containerd runc:runc iptables:iptables conntrack:conntrack ip:iproute2 modprobe:kmod openssl:openssl python3:python3
)

packages_install() {
  local -a missing
  mapfile -t missing < <(packages_missing)
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null ||
    die "missing: ${missing[*]} (names of Debian packages); install them, there is no apt-get here to do it"
  must_be_root "installing ${missing[*]}"
  say "installing ${missing[*]}"
  (
    log=$(mktemp)
    trap 'rm -f "$log"; services_may_start' EXIT
    trap 'exit 130' INT TERM
    services_may_not_start
    packages_apt "$log" "${missing[@]}" || { apt-get update >>"$log" 2>&1 && packages_apt "$log" "${missing[@]}"; } || {
      tail -n 15 "$log" >&2
      die "apt-get could not install ${missing[*]}"
    }
  )
}

packages_missing() {
  local entry
  for entry in "${packages_needed[@]}"; do
    command -v "${entry%%:*}" >/dev/null || printf '%s\n' "${entry##*:}"
  done
  network_plugins >/dev/null || printf '%s\n' containernetworking-plugins
}

# Prints the folder of the CNI plugins.
network_plugins() {
  local folder
  for folder in "${network_plugin_folders[@]}"; do
    [[ ! -x $folder/bridge ]] || {
      printf '%s\n' "$folder"
      return
    }
  done
  return 1
}

packages_apt() {
  local log=$1
  shift
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" >>"$log" 2>&1
}

policy=/usr/sbin/policy-rc.d

# A cluster runs containerd itself, per node: the package's daemon would only be in the way.
services_may_not_start() {
  if [[ -x $policy ]] && ! "$policy" containerd start >/dev/null 2>&1; then return; fi
  [[ ! -e $policy ]] || mv "$policy" "$policy.kube-booster-saved"
  printf '#!/bin/sh\n# kube-booster: no service starts while packages are installed\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

services_may_start() {
  if grep -qs '^# kube-booster:' "$policy"; then rm "$policy"; fi
  [[ ! -e $policy.kube-booster-saved ]] || mv "$policy.kube-booster-saved" "$policy"
}

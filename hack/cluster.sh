#!/usr/bin/env bash
set -euo pipefail
shopt -s inherit_errexit nullglob extglob
cluster_sources=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/cluster
. "$cluster_sources/message.sh"
. "$cluster_sources/host.sh"
. "$cluster_sources/programs.sh"
programs_folder

#!/bin/sh
# node-root.sh FOLDER SOCKETS COMMAND…: gives a node its own /run, /var/log, /var/lib/cni and /var/lib/kubelet, then runs the command.
# Called in a mount namespace of the node's own: all that is mounted there goes when the node's processes do.
set -eu
folder=$1 sockets=$2
shift 2

mkdir -p "$folder/log" "$folder/run"
mount -t tmpfs -o mode=755 tmpfs "$folder/run"
mkdir -p "$folder/run/lock" "$folder/run/netns" "$folder/run/node" "$folder/run/cni" "$folder/run/kubelet" "$folder/run/$sockets"
mount --bind "/run/$sockets" "$folder/run/$sockets"
mount --bind "$folder" "$folder/run/node"
mount --bind "$folder/run/cni" /var/lib/cni
mount --bind "$folder/run/kubelet" /var/lib/kubelet
mount --bind "$folder/log" /var/log
mount --rbind "$folder/run" /run
exec "$@"

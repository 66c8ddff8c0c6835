#!/usr/bin/env bash
# A Slurm of this machine alone, to try job arrays with: two virtual nodes, its own configuration, keys and ports in a
# folder, nothing outside it. Needs root and Debian's packages: apt-get install slurm-wlm munge.
#
#   tools/start_slurm.sh [FOLDER]          start it, unless it runs; prints what to export. Default: /tmp/latent_tts_slurm
#   tools/start_slurm.sh --stop [FOLDER]   end it and its jobs, and remove the folder
#
#   eval "$(tools/start_slurm.sh)" && egs/mini/run.sh --cluster slurm --nj 4; tools/start_slurm.sh --stop
set -euo pipefail

fail() { echo "start_slurm.sh: error: $*" >&2; exit 2; }
stop=false
if [ "${1:-}" = --stop ]; then stop=true; shift; fi
[[ ${1:-} != -* && $# -le 1 ]] || fail "what is $1? see the head of this file"
state=${1:-/tmp/latent_tts_slurm}
[[ $state =~ ^/[A-Za-z0-9._/-]+$ ]] || fail "the folder '$state': want an absolute path of plain characters"
lives() { [ -s "$1" ] && kill -0 "$(cat "$1")"; } 2>/dev/null

# Whatever the pid files name, nodes before the controller: a node ends its jobs first.
stop_all() {
  local file
  if lives "$state/slurmctld.pid"; then SLURM_CONF=$state/slurm.conf timeout 5 scancel --me 2>/dev/null || true; sleep 1; fi
  for file in "$state"/slurmd.*.pid "$state"/slurmctld.pid "$state"/munged.pid; do
    if lives "$file"; then kill "$(cat "$file")"; fi
    for _ in {1..50}; do lives "$file" || break; sleep 0.1; done
    if lives "$file"; then kill -9 "$(cat "$file")"; fi
  done
  if [ -e "$state/slurm.conf" ]; then rm -rf "$state"; fi
}

if $stop; then stop_all; exit; fi
for program in munged slurmctld slurmd srun; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || fail "no $program here; apt-get install slurm-wlm munge"
done
[ "$(id -u)" = 0 ] || fail "its daemons change users, so start it as root"
PATH=$PATH:/usr/sbin
host=$(hostname -s)
if ! lives "$state/slurmctld.pid"; then
  stop_all
  umask 022
  mkdir -p "$state"/{controller,node1,node2}
  (umask 077 && dd if=/dev/urandom of="$state/munge.key" bs=1024 count=1 status=none)
  cat >"$state/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
AuthInfo=socket=$state/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/%n
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.%n.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName=node[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[16818-16819] CPUs=2
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
  export SLURM_CONF=$state/slurm.conf
  munged --force --socket="$state/munge.socket" --key-file="$state/munge.key" --pid-file="$state/munged.pid" \
    --log-file="$state/munged.log" --seed-file="$state/munged.seed" 2>/dev/null
  slurmctld
  for node in node1 node2; do slurmd -N "$node"; done
fi
export SLURM_CONF=$state/slurm.conf
for _ in {1..60}; do
  if [ "$(sinfo -h -N -t idle,mixed,allocated -o %N 2>/dev/null | wc -l)" = 2 ]; then
    echo "export SLURM_CONF=$SLURM_CONF"
    exit
  fi
  sleep 0.5
done
stop_all
fail "its nodes did not come up; is something else on the ports 16817 to 16819?"

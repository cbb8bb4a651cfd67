#!/bin/sh
# Makes what secures the clusters of compose.yaml, under the directory given: an authority for each cluster, and a
# directory for each agent. What is there is kept, so that it may run at every start.
set -eu

tls=$1

patina() {
  node ops/cli/bin/patina.js tls "$@"
}

# member CLUSTER ROLE AGENT
member() {
  authority=$tls/authority/$1
  [ -e "$authority/ca.crt" ] || patina ca "$authority" --cluster "$1"
  [ -e "$tls/$3/member.crt" ] || patina issue --ca "$authority" --role "$2" --out "$tls/$3"
  # Agents run as this user, and their keys are for nobody else.
  if [ "$(id -u)" = 0 ] && id node >/dev/null 2>&1; then chown -R node:node "$tls/$3"; fi
}

for region in iad fra; do
  for n in 1 2 3; do member "$region" regional "$region-$n"; done
done
for agent in global-1 global-2; do
  # By these the global agents know which region a border speaks for.
  mkdir -p "$tls/$agent/regions"
  for region in iad fra; do cp "$tls/authority/$region/ca.crt" "$tls/$agent/regions/$region.crt"; done
  member global global "$agent"
done

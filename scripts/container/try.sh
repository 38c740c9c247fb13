#!/usr/bin/env bash
# Builds the image, starts compose.yaml with a folder of photographs as its camera, and looks: is all
# healthy, is an event recorded, can nothing be written, is everything ended? Prints sizes and times.
#   sudo scripts/container/try.sh [--debootstrap]
# --debootstrap: no registry is asked; Debian's packages make the two images that others build on.
# It needs podman, podman-compose, netavark, aardvark-dns, catatonit and curl, with --debootstrap
# mmdebstrap as well. What it starts has a network, a /run and processes of its own, and ends with it.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Where others are in these limits already, runtimes cannot raise them.
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
export CONTAINERS_CONF=$work/containers.conf
cat >"$CONTAINERS_CONF" <<END
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
END

apart() {
  unshare --mount --net --pid --fork --kill-child --mount-proc sh -ec '
    # With both versions of control groups crun starts nothing.
    umount /sys/fs/cgroup/unified 2>/dev/null || true
    mount -t tmpfs tmpfs /run
    ip link set lo up
    exec "$@"' sh "$@"
}

build() {
  # The network, certificates and package index of this machine.
  local files=(/etc/pip.conf /etc/ssl/certs) options=(--quiet --format docker --network host) file
  for file in "${files[@]}"; do
    [ ! -e "$file" ] || options+=(--volume "$file:$file:ro")
  done
  unshare --mount sh -ec 'umount /sys/fs/cgroup/unified 2>/dev/null || true; exec "$@"' sh \
    podman build "${options[@]}" "$@"
}

debootstrap() {
  local base=docker.io/library/debian:trixie-slim
  if ! podman image exists "$base"; then
    unshare --mount mmdebstrap --quiet --variant=minbase --include=ca-certificates \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      trixie "$work/base.tar"
    podman import --quiet --change 'CMD ["bash"]' \
      --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      "$work/base.tar" "$base"
  fi
  build --tag docker.io/library/eclipse-mosquitto:2 --file - "$work" <<END
FROM $base
RUN apt-get update && apt-get install --yes --no-install-recommends mosquitto mosquitto-clients \
  && mkdir -p /mosquitto/data && chown mosquitto /mosquitto/data
END
}

[ "${1:-}" != --debootstrap ] || debootstrap
SECONDS=0
build --ignorefile scripts/container/Containerfile.dockerignore --tag edge-classifier \
  --file scripts/container/Containerfile .
echo "built in $SECONDS s"
podman image ls edge-classifier --format '{{.Repository}}: {{.Size}}'

mkdir "$work/settings" "$work/secrets" "$work/pictures"
cp scripts/container/{compose.yaml,mosquitto.conf} "$work"
cp edge_classifier/samples/*.jpg "$work/pictures"
openssl rand -hex 16 >"$work/secrets/mqtt-password"
chown 10001 "$work/secrets/mqtt-password"
chmod 0711 "$work"
echo 'CAMERA=pictures:/pictures' >"$work/.env"
printf '[cameras.camera]\npicture_s = 3\nrate_fps = 5\n[decision]\nenter = 0.3\nleave = 0.2\n' \
  >"$work/settings/config.toml"
printf 'services: {daemon: {volumes: ["./pictures:/pictures:ro"]}}\n' >"$work/pictures.yaml"
cd "$work"
cat >look.sh <<'END'
set -euo pipefail
compose() { podman-compose -f compose.yaml -f pictures.yaml --project-name edge "$@" &>compose.log; }
trap 'cat compose.log; podman logs edge_page_1 | tail -n 5; compose down --volumes' ERR
began=$(date +%s%N)
seconds() { printf '%d.%d s' $((($(date +%s%N) - $1) / 1000000000)) $((($(date +%s%N) - $1) / 100000000 % 10)); }
until_true() { local n; for n in $(seq 600); do ! "$@" &>/dev/null || return 0; sleep 0.2; done; false; }
compose up --detach --no-build
for name in daemon page; do
  until_true podman healthcheck run edge_${name}_1
  echo "$name: healthy after $(seconds "$began")"
done
records() { curl -s http://127.0.0.1:8090/healthz | grep -E '"recorded": [1-9]'; }
until_true records
echo "page: an event is recorded after $(seconds "$began")"
podman logs edge_page_1 2>/dev/null | grep 'Make the first administrator'
for name in daemon page; do
  ! podman exec edge_${name}_1 touch /x 2>/dev/null
  [ "$(podman exec edge_${name}_1 id --user)" = 10001 ]
  podman exec edge_${name}_1 grep -q 'CapEff:\s*0000000000000000' /proc/1/status
done
echo "daemon, page: the root file system is read-only, the user is 10001, without capabilities"
! podman exec edge_broker_1 mosquitto_sub -C 1 -W 5 -t '#' 2>/dev/null
echo "broker: nobody comes in without the password"
podman stats --no-stream --format '{{.Name}}: {{.MemUsage}}' 2>/dev/null
for name in daemon page; do
  stopped=$(date +%s%N)
  podman stop edge_${name}_1 &>/dev/null
  [ "$(podman inspect edge_${name}_1 --format '{{.State.ExitCode}}')" = 0 ]
  echo "$name: ended in $(seconds "$stopped")"
done
compose down --volumes
END
apart bash look.sh

#!/usr/bin/env bash
# Installs, upgrades or removes edge-classifier as a service of Raspberry Pi OS or another Debian,
# from the clone that this script lies in.
#   sudo scripts/install.sh [install]             again: the same, the settings are kept
#   sudo scripts/install.sh upgrade               only if it is installed already
#   sudo scripts/install.sh uninstall [--purge]   --purge: settings, secrets and state, too
#   --web                                         the web page, too; later it is kept without asking
#   --with=EXTRAS                                 e.g. heic or fleet,heic; later kept, too
#   --dry-run                                     print the commands instead of running them
#   --no-apt                                      leave the system's packages alone
# It adds /opt/edge-classifier, /etc/edge-classifier, /etc/systemd/system/edge-classifier.service
# and /usr/local/bin/edge-classify, and the service keeps /var/lib/edge-classifier. --web adds
# edge-classifier-web.service, which keeps /var/lib/edge-classifier-web and uploaded models in
# /var/lib/edge-classifier-web-models.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

readonly SCRIPT=$PWD/scripts/install.sh
readonly SERVICE=edge-classifier
readonly HOME_FOLDER=/opt/edge-classifier
readonly CURRENT=$HOME_FOLDER/current
readonly SETTINGS=/etc/edge-classifier
readonly UNIT=/etc/systemd/system/$SERVICE.service
readonly WEB=edge-classifier-web
readonly WEB_UNIT=/etc/systemd/system/$WEB.service
readonly COMMAND=/usr/local/bin/edge-classify
# Only the system's own Python sees the camera library that apt installs.
readonly PYTHON=/usr/bin/python3
# Debian's python3-venv brings it.
readonly PIP='/usr/share/python-wheels/pip-*.whl'

action=install dry_run='' apt=yes purge='' web='' with='' python_version=''

main() {
  read_arguments "$@"
  if [ "$(id -u)" -ne 0 ] && [ -z "$dry_run" ]; then
    fail "root is needed: sudo $SCRIPT $*"
  fi
  case $action in
    install) install_all ;;
    upgrade)
      [ -e "$CURRENT" ] || fail "nothing to upgrade: $CURRENT is not there; use install"
      install_all
      ;;
    uninstall) uninstall_all ;;
  esac
}

read_arguments() {
  local argument
  for argument in "$@"; do
    case $argument in
      install | upgrade | uninstall) action=$argument ;;
      --dry-run) dry_run=yes ;;
      --no-apt) apt='' ;;
      --purge) purge=yes ;;
      --web) web=yes ;;
      --with=?*) with=${argument#*=} ;;
      *)
        sed -n '2,/^set /{s/^# \{0,1\}//p}' "$SCRIPT" >&2
        exit 2
        ;;
    esac
  done
}

say() { echo "install.sh${dry_run:+ (dry run: nothing was changed)}: $*"; }

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Every command that changes something goes through here.
run() {
  if [ -n "$dry_run" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

install_all() {
  [ -z "$apt" ] || install_packages
  python_version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case $python_version in
    3.11 | 3.12 | 3.13) ;;
    *) fail "$PYTHON is not Python 3.11 to 3.13: Raspberry Pi OS 12 or 13 is needed" ;;
  esac
  [ ! -e "$WEB_UNIT" ] || web=yes
  # Also those that an earlier call named, each once.
  with=$({ echo "$with"; cat "$CURRENT/extras" 2>/dev/null || true; } |
    tr , '\n' | sed '/^$/d' | sort -u | paste -sd,)
  local release previous
  release=$HOME_FOLDER/releases/$(date -u +%Y%m%dT%H%M%S)-$$
  previous=$(readlink -e "$CURRENT" || true)
  build "$release"
  configure "$release"
  activate "$release"
  start || roll_back "$release" "$previous"
  remove_releases_but "$release"
  say "installed. Settings: $SETTINGS/config.toml. Log: journalctl -u $SERVICE"
  [ -z "$web" ] || tell_of_web
}

tell_of_web() {
  say "the web page answers this machine only; $SETTINGS/web.toml opens it, and says how safely"
  [ -z "$dry_run" ] && [ -d /run/systemd/system ] || return 0
  # The page says where it is, and, as long as there is no administrator, how to make one.
  journalctl --quiet --output=cat "_SYSTEMD_INVOCATION_ID=$(systemctl show --value \
    --property InvocationID $WEB)" | grep -E '^(The page is at|Make the first administrator)' || true
}

install_packages() {
  local package missing=()
  command -v apt-get >/dev/null || return 0
  local packages=(python3-venv)
  if is_raspberry_pi_os; then packages+=(python3-picamera2); fi
  # PyPI has none of these for 32-bit ARM.
  if is_32_bit_arm; then packages+=(python3-numpy python3-opencv python3-pil); fi
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    run apt-get update
    # Recommended ones would bring a desktop along.
    run env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      "${missing[@]}"
  fi
}

is_raspberry_pi_os() { [ -e /etc/rpi-issue ]; }

is_32_bit_arm() { [ "$(dpkg --print-architecture 2>/dev/null)" = armhf ]; }

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Beside what is running, which stays untouched if anything here fails.
build() {
  local release=$1
  discard=$release
  trap 'run rm -rf "$discard"' EXIT
  say "building $release; this takes minutes on a small Raspberry Pi ..."
  run mkdir -p "$HOME_FOLDER/releases"
  make_environment "$release"
  local extras=${web:+web,notify}${web:+${with:+,}}$with
  install_with_pip "$release" ".${extras:+[$extras]}"
  [ -z "$with" ] || run install -m 0644 /dev/stdin "$release/extras" <<<"$with"
  match_simplejpeg "$release"
  run install -m 0644 systemd/$SERVICE.service ${web:+systemd/$WEB.service} "$release/"
  say "trying it on a picture ..."
  run "$release/bin/edge-classify" --image edge_classifier/samples/cat.jpg --top-k 1
}

# Not with venv's own installer of pip: it runs pip from its archive, compiles every module of it
# and, on Debian 12, installs setuptools as well. A wheel need only be unpacked.
make_environment() {
  local release=$1 wheel
  wheel=$(compgen -G "$PIP" | sort -V | tail -n 1) || true
  [ -n "$wheel$dry_run" ] || fail "pip is missing: sudo apt install python3-venv"
  run "$PYTHON" -m venv --system-site-packages --without-pip "$release"
  run "$PYTHON" -m zipfile -e "${wheel:-$PIP}" "$release/lib/python$python_version/site-packages"
}

install_with_pip() {
  local release=$1 as=()
  shift
  # A 32-bit system on a 64-bit kernel calls itself aarch64 to pip, which is wrong for dependencies;
  # what setarch makes of it, armv8l, has no wheels for the pip of Debian 12.
  if is_32_bit_arm; then
    as=(env _PYTHON_HOST_PLATFORM=linux-armv7l setarch linux32)
  fi
  run "${as[@]}" "$release/bin/python" -m pip install --quiet --no-cache-dir --no-input \
    --disable-pip-version-check "$@"
}

# picamera2 uses apt's simplejpeg, which is compiled for apt's numpy and fails with a newer major
# version (picamera2#1088). Where apt's numpy is new enough, pip leaves both alone. Where it is not
# (Raspberry Pi OS 12), the environment has got its own numpy, and needs its own simplejpeg as well.
match_simplejpeg() {
  local release=$1
  if "$PYTHON" -c 'import simplejpeg' 2>/dev/null && has_own_numpy "$release"; then
    install_with_pip "$release" --ignore-installed --no-deps simplejpeg
  fi
}

has_own_numpy() { compgen -G "$1/lib/python3*/site-packages/numpy" >/dev/null; }

configure() {
  local release=$1
  run install -d -m 0755 "$SETTINGS"
  run install -d -m 0700 "$SETTINGS/secrets"
  if [ -e "$SETTINGS/config.toml" ]; then
    # Before the running daemon is stopped for one that would refuse its settings.
    run "$release/bin/edge-classify" config check --config "$SETTINGS/config.toml"
  else
    run "$release/bin/edge-classify" config init ${web:+--recorded} \
      --output "$SETTINGS/config.toml"
  fi
  [ -z "$web" ] || configure_web "$release"
}

configure_web() {
  local release=$1
  run install -d -m 0700 "$SETTINGS/web-secrets"
  if [ -e "$SETTINGS/web.toml" ]; then
    # On an empty state, that of the running page is not for two; also an upgrade begins with this.
    run "$release/bin/edge-classify" web --config "$SETTINGS/web.toml" \
      --set "state_folder=$release/web-trial" manage check
    run rm -rf "$release/web-trial"
  else
    run install -m 0644 systemd/web.toml "$SETTINGS/web.toml"
  fi
}

# Makes a release the one that runs, in one step each; none of it fails half way.
activate() {
  local release=$1
  discard=''
  trap - EXIT
  run ln -sfn "$release" "$CURRENT.new"
  run mv -T "$CURRENT.new" "$CURRENT"
  run install -m 0644 "$release/$SERVICE.service" "$UNIT"
  if [ -e "$release/$WEB.service" ] || { [ -n "$dry_run" ] && [ -n "$web" ]; }; then
    run install -m 0644 "$release/$WEB.service" "$WEB_UNIT"
  elif [ -e "$WEB_UNIT" ]; then
    # Back to a release without the page.
    run systemctl disable --now --quiet "$WEB"
    run rm -f "$WEB_UNIT"
  fi
  run ln -sfn "$CURRENT/bin/edge-classify" "$COMMAND"
}

start() {
  if [ ! -d /run/systemd/system ]; then
    say "systemd does not run here: the service is not enabled"
    return 0
  fi
  local service services=()
  # First, for the folder of uploaded models must be there when the daemon is started.
  if [ -e "$WEB_UNIT" ] || { [ -n "$dry_run" ] && [ -n "$web" ]; }; then services+=("$WEB"); fi
  services+=("$SERVICE")
  run systemctl daemon-reload
  run systemctl enable --quiet "${services[@]}"
  for service in "${services[@]}"; do
    # Type=notify: this waits until it says that it is ready.
    run systemctl restart "$service" || return
  done
}

roll_back() {
  local release=$1 previous=$2
  if [ -z "$previous" ]; then
    fail "it does not start: journalctl -u $SERVICE${web:+ -u $WEB}"
  fi
  say "the new release does not start (journalctl -u $SERVICE${web:+ -u $WEB}); going back to $previous ..." >&2
  activate "$previous"
  start || true
  run rm -rf "$release"
  fail "not upgraded"
}

remove_releases_but() {
  local kept=$1 old
  for old in "$HOME_FOLDER"/releases/*/; do
    [ "${old%/}" = "$kept" ] || [ ! -d "$old" ] || run rm -rf "${old%/}"
  done
}

uninstall_all() {
  local service
  for service in "$SERVICE" "$WEB"; do
    if [ -d /run/systemd/system ] && [ -e "/etc/systemd/system/$service.service" ]; then
      run systemctl disable --now --quiet "$service"
    fi
  done
  run rm -f "$UNIT" "$WEB_UNIT" "$COMMAND"
  run rm -rf "$HOME_FOLDER"
  if [ -n "$purge" ]; then
    run rm -rf "$SETTINGS" "$UNIT.d" "$WEB_UNIT.d" /var/lib/{private/,}{$SERVICE,$WEB,$WEB-models}
  else
    say "settings, secrets and state are kept (--purge removes them)"
  fi
  if [ -d /run/systemd/system ]; then
    run systemctl daemon-reload
    run systemctl reset-failed "$SERVICE" "$WEB" 2>/dev/null || true
  fi
}

main "$@"

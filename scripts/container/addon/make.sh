#!/usr/bin/env bash
# Puts the add-on's folder together, which Home Assistant builds itself: docs/container.md.
#   scripts/container/addon/make.sh FOLDER     then copy FOLDER to /addons of Home Assistant
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/../../.."
[ -z "$(ls -A "$folder")" ] || { echo "make.sh: $folder is not empty" >&2; exit 73; }

# Home Assistant builds within the folder alone.
cp pyproject.toml README.md LICENSE "$folder"
mkdir -p "$folder/scripts/container/addon"
cp scripts/container/healthy "$folder/scripts/container/"
cp scripts/container/addon/start.py "$folder/scripts/container/addon/"
tar --exclude=__pycache__ --create edge_classifier models | tar --extract --directory "$folder"
cp -r scripts/container/addon/{config.yaml,DOCS.md,icon.png,translations} "$folder"
cp CHANGELOG.md "$folder/CHANGELOG.md"
{
  cat scripts/container/Containerfile
  cat <<'END'

# The add-on: start.py needs root for the folders that Home Assistant has made, and no longer.
USER root
COPY --chmod=0755 scripts/container/addon/start.py /usr/local/bin/addon-start
# The Supervisor would end it while the broker is away. start.py ends when one of both does.
HEALTHCHECK NONE
ENTRYPOINT ["addon-start"]
CMD []
END
} >"$folder/Dockerfile"
echo "The add-on is in $folder"

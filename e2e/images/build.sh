#!/bin/bash
# Builds the images that the lab itself needs (pause, web, coredns) as archives in the cache, once
# per version of their files. Prints the folder that holds them on stdout, progress on stderr.
# Usage: build.sh PARTS-FOLDER (what ../parts/build.sh printed).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
parts=${1:?usage: build.sh PARTS-FOLDER}
cache=${FERROLB_CACHE:-$HOME/.cache/ferrolb}
busybox=$(command -v busybox)

# Rebuilt when a file here, the machine's busybox or the parts (CoreDNS) change.
key=$({ cat "$here"/*/* "$here/build.sh" "$busybox"; basename "$parts"; } | sha256sum | cut -c1-12)
images="$cache/images/$key"
if [ -d "$images" ]; then
  echo "$images"
  exit 0
fi

# The images are FROM scratch: a dynamically linked busybox would find no loader in them.
if ldd "$busybox" >/dev/null 2>&1; then
  echo "images: $busybox is not static; install busybox-static" >&2
  exit 1
fi

mkdir -p "$cache/images"
temp=$(mktemp -d "$cache/images/.building.XXXXXX")
trap 'rm -rf "$temp"' EXIT
# vfs and chroot need no overlay mounts, no user namespaces and no network. A store of our own
# leaves the user's images alone.
build="buildah --storage-driver vfs --root $temp/store --runroot $temp/run"

for image in pause web coredns; do
  echo "images: building ferrolb-lab/$image" >&2
  mkdir "$temp/$image"
  cp "$here/$image"/* "$temp/$image/"
  if [ "$image" = coredns ]; then
    cp "$parts/coredns" "$temp/$image/"
  else
    cp "$busybox" "$temp/$image/busybox"
  fi
  name="ferrolb-lab/$image:1"
  if ! { $build bud --isolation chroot -t "$name" "$temp/$image" &&
         $build push "$name" "docker-archive:$temp/$image.tar:$name"; } >"$temp/log" 2>&1; then
    cat "$temp/log" >&2
    exit 1
  fi
  rm -rf "${temp:?}/$image"
done
rm -rf "$temp/store" "$temp/run" "$temp/log"
chmod 755 "$temp"
# Whoever else built the same in the meantime wins; the archives are equal.
mv -T "$temp" "$images" 2>/dev/null || [ -d "$images" ]
trap - EXIT
rm -rf "$temp"
echo "$images"

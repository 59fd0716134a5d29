#!/bin/bash
# MetalLB, for the tests of taking over from it and going back: its two programs, built from its Go
# module as images with the names that its manifests and its chart ask for, and both of these as the
# module has them. Built once per version, into the cache. Prints the folder that holds them on
# stdout and everything else on stderr.
set -euo pipefail

cache=${FERROLB_CACHE:-$HOME/.cache/ferrolb}
version=v0.16.1
module=go.universe.tf/metallb

key="$version-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)"
folder="$cache/metallb/$key"

started=$SECONDS
say() { printf 'metallb: %3ds  %s\n' $((SECONDS - started)) "$*" >&2; }

if [ -d "$folder" ]; then
  echo "$folder"
  exit 0
fi

mkdir -p "$cache/metallb"
# One build at a time; whoever waited finds it made.
exec 9>"$cache/metallb/.lock"
flock 9
if [ -d "$folder" ]; then
  echo "$folder"
  exit 0
fi

if ! command -v go >/dev/null; then
  echo "metallb: no 'go' in PATH; MetalLB is built from source and needs Go" >&2
  exit 1
fi
# The toolchain at hand builds it; fetching another one is not ours to decide.
export GOTOOLCHAIN=local CGO_ENABLED=0

temp=$(mktemp -d "$cache/metallb/.building.XXXXXX")
trap 'rm -rf "$temp"' EXIT

say "building MetalLB $version (the first run only) ..."
(
  cd "$temp"
  GOBIN=$temp go install -trimpath -ldflags "-s -w" \
    "$module/controller@$version" "$module/speaker@$version"
) >"$temp/log" 2>&1 || {
  tail -40 "$temp/log" >&2
  exit 1
}
source=$(cd "$temp" && go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
# What the module cache holds is write-protected, and may be cleaned away.
cp -r --no-preserve=mode "$source/charts/metallb" "$temp/chart"
cp --no-preserve=mode "$source/config/manifests/metallb-native.yaml" "$temp/"

build="buildah --storage-driver vfs --root $temp/store --runroot $temp/run"
for program in controller speaker; do
  mkdir "$temp/context"
  mv "$temp/$program" "$temp/context/"
  printf 'FROM scratch\nCOPY %s /%s\nENTRYPOINT ["/%s"]\n' "$program" "$program" "$program" \
    >"$temp/context/Containerfile"
  image="quay.io/metallb/$program:$version"
  if ! { $build bud --isolation chroot -t "$image" "$temp/context" &&
         $build push "$image" "docker-archive:$temp/$program.tar:$image"; } >"$temp/log" 2>&1; then
    cat "$temp/log" >&2
    exit 1
  fi
  rm -rf "${temp:?}/context"
done
rm -rf "$temp/store" "$temp/run" "$temp/log"
chmod 755 "$temp"
# A rename is all or nothing: an interrupted build leaves nothing half made.
mv -T "$temp" "$folder"
trap - EXIT
say "MetalLB is in $folder"
echo "$folder"

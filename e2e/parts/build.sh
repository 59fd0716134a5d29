#!/bin/bash
# Builds the programs of the lab from their Go modules into the cache, once per version: the
# Kubernetes programs (one multi-call binary), helm and CoreDNS. Prints the folder that holds them
# on stdout and everything else on stderr, so that a caller can use the answer.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${FERROLB_CACHE:-$HOME/.cache/ferrolb}
helm_version=v3.19.5
coredns_version=v1.14.7
kube_version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }
                    $1 == "k8s.io/kubernetes" && $2 ~ /^v/ { print $2 }' "$here/kube/go.mod")
kube_programs="etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl
  kubectl-server kubelet"

# The key is the versions and the files they are built from: another checkout with other files
# builds its own parts beside these, and nothing is built twice.
files=$(cat "$here"/kube/{*.go,go.mod,go.sum} "$here/build.sh" | sha256sum | cut -c1-12)
key="$kube_version-helm-$helm_version-coredns-$coredns_version-$files"
parts="$cache/parts/$key"

started=$SECONDS
say() { printf 'parts: %3ds  %s\n' $((SECONDS - started)) "$*" >&2; }

if [ -x "$parts/kube" ]; then
  echo "$parts"
  exit 0
fi

mkdir -p "$cache/parts"
# One build at a time; whoever waited finds the parts made.
exec 9>"$cache/parts/.lock"
flock 9
if [ -x "$parts/kube" ]; then
  echo "$parts"
  exit 0
fi

if ! command -v go >/dev/null; then
  echo "parts: no 'go' in PATH; the lab's Kubernetes is built from source and needs Go" >&2
  exit 1
fi
# The toolchain at hand builds the parts; fetching another one is not ours to decide.
export GOTOOLCHAIN=local CGO_ENABLED=0

temp=$(mktemp -d "$cache/parts/.building.XXXXXX")
trap 'rm -rf "$temp"' EXIT

# A line now and then tells a first user that a build of minutes is alive.
build() {
  local what=$1
  shift
  say "building $what (the first run only) ..."
  "$@" >"$temp/log" 2>&1 &
  local pid=$! beat=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    beat=$((beat + 1))
    if [ $((beat % 30)) = 0 ]; then say "  ... still building $what"; fi
  done
  if ! wait "$pid"; then
    tail -40 "$temp/log" >&2
    say "building $what failed"
    exit 1
  fi
  say "$what done"
}

# Without these, Helm and kubectl see version v0.0.0 and refuse charts by `kubeVersion`.
IFS=. read -r major minor _ <<<"${kube_version#v}"
stamp=""
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp="$stamp -X $package.gitVersion=$kube_version -X $package.gitMajor=$major"
  stamp="$stamp -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

build_kube() {
  cd "$here/kube"
  go build -buildvcs=false -trimpath -tags netgo,osusergo,providerless \
    -ldflags "-s -w $stamp" -o "$temp/kube" .
}
build_helm() {
  GOBIN=$temp go install -trimpath \
    -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$helm_version" \
    "helm.sh/helm/v3/cmd/helm@$helm_version"
}
build_coredns() {
  GOBIN=$temp go install -trimpath -ldflags "-s -w" "github.com/coredns/coredns@$coredns_version"
}

build "Kubernetes $kube_version" build_kube
build "helm $helm_version" build_helm
build "CoreDNS $coredns_version" build_coredns
for program in $kube_programs; do ln -s kube "$temp/$program"; done
rm -f "$temp/log"

# A rename is all or nothing: an interrupted build leaves no half-made parts.
chmod 755 "$temp"
mv -T "$temp" "$parts"
trap - EXIT
say "parts are in $parts"
echo "$parts"

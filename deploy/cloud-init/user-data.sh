#!/bin/bash
# Prints user data for the nodes of an OKE node pool, with install.sh in it, packed: all metadata of an instance may
# have 32,000 bytes. What is set of OCI_CONNECTOR_* goes into it, and the arguments go to install.sh:
#
#   OCI_CONNECTOR_URL=https://… OCI_CONNECTOR_SHA256_AMD64=… ./user-data.sh [--kubelet-extra-args …] >user-data.txt
set -euo pipefail

script=$(dirname "${BASH_SOURCE[0]}")/install.sh
[[ -n ${OCI_CONNECTOR_URL:-} ]] || { echo 'OCI_CONNECTOR_URL does not say where the executable is' >&2 && exit 1; }

echo '#!/bin/bash'
echo '# Made by user-data.sh of oci-connector.'
for setting in $(compgen -v OCI_CONNECTOR_); do
  printf 'export %s=%q\n' "$setting" "${!setting}"
done
# shellcheck disable=SC2016
echo 'script=$(mktemp)'
printf '%s' "base64 --decode <<'END' | gunzip >\"\$script\" && exec bash \"\$script\""
(($# == 0)) || printf ' %q' "$@"
printf '\n'
gzip --best --no-name --stdout "$script" | base64
echo END
# What OKE does by itself, for an image without gunzip.
cat <<'END'
curl --fail --header 'Authorization: Bearer Oracle' http://169.254.169.254/opc/v2/instance/metadata/oke_init_script |
  base64 --decode >/var/run/oke-init.sh && bash /var/run/oke-init.sh
END

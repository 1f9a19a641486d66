#!/bin/bash
# Installs oci-connector's credential provider for the kubelet on this node: docs/guides/oracle.md.
#
#   install.sh [--dry-run] [--crio] [arguments for OKE's init script]    user data of an OKE node pool
#   install.sh --no-oke [--dry-run] [--crio]                             a node whose kubelet is a service of systemd
#   install.sh --uninstall [--dry-run]                                   as it was before
#
# User data holds no credential: whoever is on the node reads it. Its settings, here or in the environment:

: "${OCI_CONNECTOR_URL:=}"           # https://…/oci-connector-credential-provider-linux-{arch}: amd64 or arm64
: "${OCI_CONNECTOR_SHA256_AMD64:=}"  # what it must be, in hexadecimal
: "${OCI_CONNECTOR_SHA256_ARM64:=}"
: "${OCI_CONNECTOR_SHA256_URL:=}"    # or a file of sha256sum (…-linux-{arch}.sha256), by https or file, where you alone write
: "${OCI_CONNECTOR_CONFIG:=}"        # the provider's own configuration, YAML; a file that is there already stays
: "${OCI_CONNECTOR_MATCH_IMAGES:=}"  # further images than those of OCIR, comma separated, as the kubelet matches them
: "${OCI_CONNECTOR_ADDRESS:=}"       # localhost:7450 where pods pull from connectors as themselves; kubelet ≥ 1.34
: "${OCI_CONNECTOR_AUDIENCE:=oci-connector}"
: "${OCI_CONNECTOR_BIN_DIR:=/opt/oci-connector/bin}"  # unless the kubelet has one already: it knows only one
: "${OCI_CONNECTOR_ON_FAILURE:=continue}"             # stop: a node without the provider does not join
: "${OCI_CONNECTOR_OKE_COMMAND:=}"                    # instead of OKE's init script: oke bootstrap
# For tests: a file of checksums by plain HTTP, which whoever is on the way can write.
: "${OCI_CONNECTOR_ALLOW_HTTP:=}"  # true
# For tests and unusual nodes:
: "${OCI_CONNECTOR_METADATA_URL:=http://169.254.169.254/opc/v2/ http://[fd00:c1::a9fe:a9fe]/opc/v2/}"
: "${OCI_CONNECTOR_ROOT:=}"                # where the node's files are
: "${OCI_CONNECTOR_KUBELET_VERSION:=}"     # instead of asking for it
: "${OCI_CONNECTOR_ATTEMPTS:=6}"
: "${OCI_CONNECTOR_RETRY_SECONDS:=2}"      # before the second attempt, twice as many before each further one
: "${OCI_CONNECTOR_TIMEOUT_SECONDS:=180}"  # of a download
: "${OCI_CONNECTOR_SETTLE_SECONDS:=5}"     # after which a restarted kubelet has to run
: "${OCI_CONNECTOR_JITTER_SECONDS:=0}"     # to restart it within, by chance

# Run by another shell it would fail somewhere in the middle.
[ -n "${BASH_VERSION-}" ] || { echo 'oci-connector: error: bash it is that runs this script' >&2 && exit 1; }
set -euo pipefail
umask 022
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"

readonly name=oci-connector-credential-provider
readonly pod_name=$name-pod
readonly config=/etc/oci-connector/credential-provider.yaml
readonly kubelet_config=/etc/oci-connector/kubelet-credential-providers
readonly registries=/etc/containers/registries.conf.d/50-oci-connector.conf
readonly root=${OCI_CONNECTOR_ROOT%/}
readonly state=$root/var/lib/oci-connector/install
# What a run has to take back until the kubelet runs with what it wrote: `before`, `state`, `targets`, `command-line`.
readonly undo=$root/var/lib/oci-connector/undo
readonly ran=$root/run/oci-connector/oke-init

say() { printf 'oci-connector: %s\n' "$*" >&2; }
die() { say "error: $*" && exit 1; }
loud() { printf '\n%s\n' '!!!!!!!!!!!!!!!!!!!!' >&2 && say "$*" && printf '%s\n\n' '!!!!!!!!!!!!!!!!!!!!' >&2; }
hash_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

# Downloads ----------------------------------------------------------------------------------------------------------

# fetch URL FILE SECONDS [options of curl]: the whole, or a failure, which is 2 where nobody need ask again. Says nothing
# of the URL but its host, and gives it to curl on standard input: a path may be a capability, and arguments are for
# everybody on the node to read. What is asked for by TLS comes by TLS.
fetch() {
  local url=$1 file=$2 seconds=$3 attempt status code pause=$OCI_CONNECTOR_RETRY_SECONDS
  local quoted host redirects='=http,https'
  shift 3
  [[ $url != *[[:cntrl:]]* ]] || { say 'a URL with a control character' && return 2; }
  [[ ${url,,} != https:* ]] || redirects='=https'
  quoted=${url//\\/\\\\}
  quoted=${quoted//\"/\\\"}
  host=$(sed -E 's,^([^:/?#]+://)?([^/?#]*@)?([^/?#]*).*,\1\3,' <<<"$url")
  for ((attempt = 1; ; attempt++)); do
    status=0
    code=$(printf 'url = "%s"\n' "$quoted" | curl -q --config - --silent --fail --location \
      --proto '=http,https,file' --proto-redir "$redirects" --connect-timeout 10 --max-time "$seconds" \
      --output "$file" --write-out '%{http_code}' "$@") || status=$?
    [[ $status == 0 ]] && return 0
    say "$host: HTTP status $code, exit code $status of curl, attempt $attempt of $OCI_CONNECTOR_ATTEMPTS"
    # What a second attempt cannot change: no such protocol, no such URL, no such file, and the client's own mistakes.
    case $status,$code in
    1,* | 3,* | 23,* | 37,*) return 2 ;;
    22,408 | 22,429) ;;
    22,4*) return 2 ;;
    esac
    ((attempt < OCI_CONNECTOR_ATTEMPTS)) || return 1
    sleep "$pause"
    pause=$((pause * 2))
  done
}

# metadata PATH FILE: of this instance.
metadata() {
  local base status=1
  for base in $OCI_CONNECTOR_METADATA_URL; do
    status=0
    fetch "${base%/}/$1" "$2" 10 --globoff --noproxy '*' --header 'Authorization: Bearer Oracle' || status=$?
    [[ $status == 1 ]] || break
  done
  return "$status"
}

architecture() {
  case $(uname -m) in
  x86_64) echo amd64 ;;
  aarch64) echo arm64 ;;
  *) die "there is no executable for $(uname -m): amd64 (x86_64) and arm64 (aarch64) only" ;;
  esac
}

# expected_hash ARCH URL: what the executable must be.
expected_hash() {
  local hash=$OCI_CONNECTOR_SHA256_AMD64 file secure=(--proto '=https,file' --proto-redir '=https')
  [[ $1 == arm64 ]] && hash=$OCI_CONNECTOR_SHA256_ARM64
  if [[ -z $hash && -n $OCI_CONNECTOR_SHA256_URL ]]; then
    if [[ $OCI_CONNECTOR_ALLOW_HTTP == true ]]; then
      secure=()
    elif [[ ${OCI_CONNECTOR_SHA256_URL,,} != @(https|file)://* ]]; then
      die "OCI_CONNECTOR_SHA256_URL has to be https:// or file://, or set OCI_CONNECTOR_SHA256_${1^^} instead:" \
        'a checksum by plain HTTP is that of whoever is on the way'
    fi
    fetch "${OCI_CONNECTOR_SHA256_URL//\{arch\}/$1}" "$work/sums" 30 ${secure[@]+"${secure[@]}"} ||
      die 'the file of checksums cannot be had'
    file=${2%%[?#]*}
    hash=$(awk -v file="${file##*/}" '{ sub(/^[*]/, "", $2) } $2 == file || NF == 1 { print $1; exit }' "$work/sums")
  fi
  [[ -n $hash ]] || die "no checksum for $1: set OCI_CONNECTOR_SHA256_${1^^} or OCI_CONNECTOR_SHA256_URL"
  hash=${hash,,}
  [[ $hash =~ ^[0-9a-f]{64}$ ]] || die "the checksum for $1 is no SHA-256 in hexadecimal"
  echo "$hash"
}

# Sets executable to a file that holds it, verified.
download() {
  local arch url hash found
  executable=$root$bin_dir/$name
  [[ -n $OCI_CONNECTOR_URL ]] || die 'OCI_CONNECTOR_URL does not say where the executable is'
  arch=$(architecture)
  url=${OCI_CONNECTOR_URL//\{arch\}/$arch}
  hash=$(expected_hash "$arch" "$url")
  [[ ! -f $executable || $(hash_of "$executable") != "$hash" ]] || return 0
  executable=$work/executable
  fetch "$url" "$executable" "$OCI_CONNECTOR_TIMEOUT_SECONDS" || die 'the executable cannot be had'
  found=$(hash_of "$executable")
  [[ $found == "$hash" ]] || die "the download is not what it must be: its SHA-256 is $found, not $hash"
}

# Flags of the kubelet -----------------------------------------------------------------------------------------------

# words TEXT: sets `split` to its words, as systemd and a shell split them.
words() {
  local text=$1 length=${#1} i char quote='' word='' within=''
  split=()
  for ((i = 0; i < length; i++)); do
    char=${text:i:1}
    if [[ $char == \\ && $quote != \' ]]; then
      i=$((i + 1))
      [[ ${text:i:1} == $'\n' ]] || { word+=${text:i:1} && within=1; }
    elif [[ -n $quote ]]; then
      if [[ $char == "$quote" ]]; then quote=''; else word+=$char; fi
    elif [[ $char == [\'\"] ]]; then
      quote=$char && within=1
    elif [[ $char == [[:space:]] ]]; then
      [[ -z $within ]] || split+=("$word")
      word='' && within=''
    else
      word+=$char && within=1
    fi
  done
  [[ -z $within ]] || split+=("$word")
}

# flags_in WORD…: sets existing_bin and existing_config to what they give last.
flags_in() {
  while (($# > 0)); do
    case $1 in
    --image-credential-provider-bin-dir=*) existing_bin=${1#*=} ;;
    --image-credential-provider-config=*) existing_config=${1#*=} ;;
    --image-credential-provider-bin-dir) existing_bin=${2-} ;;
    --image-credential-provider-config) existing_config=${2-} ;;
    esac
    shift
  done
}

# assignments_in TEXT: the same for lines of a unit or an environment file, whose values hold words of their own.
assignments_in() {
  local outer word
  words "$1"
  outer=(${split[@]+"${split[@]}"})
  for word in ${outer[@]+"${outer[@]}"}; do
    split=("$word")
    while [[ $word =~ ^[A-Za-z_]+=(.*)$ ]]; do word=${BASH_REMATCH[1]} && words "$word"; done
    all+=(${split[@]+"${split[@]}"})
  done
}

# As systemd reads them: of files of one name the last of these folders counts, and drop-ins follow one another by name.
unit_files() {
  local glob dir
  for glob in 'kubelet.service' 'kubelet.service.d/*.conf'; do
    for dir in /usr/lib /lib /run /etc; do
      compgen -G "$root$dir/systemd/system/$glob" || true
    done | awk -F/ '{ file[$NF] = $0 } END { for (name in file) print name "\t" file[name] }' |
      LC_ALL=C sort | cut -f 2-
  done
}

# The words of the kubelet's process, each with a NUL behind it; nothing, where it does not run.
command_line() {
  local process
  process=$(systemctl show --property MainPID --value kubelet 2>/dev/null || true)
  cat "$root/proc/${process:-0}/cmdline" 2>/dev/null || true
}

# The flags that the kubelet of this node has by now: of its process, or of its unit.
flags_of_node() {
  local file line
  mapfile -d '' -t all < <(command_line)
  if ((${#all[@]} > 0)); then
    flags_in "${all[@]}"
    return
  fi
  while IFS= read -r file; do
    assignments_in "$(grep -v '^[[:space:]]*[#;]' "$file" || true)"
    while IFS= read -r line; do
      [[ ! -f $root$line ]] || assignments_in "$(grep -v '^[[:space:]]*#' "$root$line" || true)"
    done < <(sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$file")
  done < <(unit_files)
  flags_in ${all[@]+"${all[@]}"}
}

# Sets bin_dir, base (the configuration that ours takes over), and added: the flags that come behind what is there.
decide_flags() {
  local ours=${existing_config%.*}
  if [[ $ours == "$kubelet_config" ]]; then
    existing_config=$(cat "$state/base" 2>/dev/null || true)
    existing_bin=$(cat "$state/base-bin" 2>/dev/null || true)
  fi
  bin_dir=${existing_bin:-$OCI_CONNECTOR_BIN_DIR}
  bin_dir=${bin_dir%/}
  base=$existing_config
  [[ $bin_dir$base != *[\"\'\\[:cntrl:]]* ]] || die 'a path with a quote, a backslash or a control character'
  [[ $bin_dir == /* && ${base:-/} == /* ]] || die "the kubelet's flags for credential providers are no absolute paths"
  target=$kubelet_config.yaml && added=''
  if [[ -n $base && -d $root$base ]]; then
    # The kubelet reads all files of a folder, from 1.35 on.
    target=${base%/}/oci-connector.yaml && base=''
  else
    [[ -z $base || -f $root$base ]] || die "the kubelet is to read $base, which is not there"
    [[ -z $base || $(first_character "$root$base") != '{' ]] || target=$kubelet_config.json
    added=$(flag --image-credential-provider-config "$target")
  fi
  [[ -n $existing_bin ]] || added="$(flag --image-credential-provider-bin-dir "$bin_dir")${added:+ }$added"
}

flag() { if [[ $2 == *' '* ]]; then printf "'%s=%s'" "$1" "$2"; else printf '%s=%s' "$1" "$2"; fi; }
first_character() { sed -e 's/^[[:space:]]*#.*//' "$1" | tr -d '[:space:]' | head -c 1 || true; }

# Configurations -----------------------------------------------------------------------------------------------------

match_images() {
  local domain
  printf '%s\n' ocir.io '*.ocir.io'
  # One star stands for (a part of) one component of a host. The realms' domains; which hosts they are the provider
  # decides by itself.
  for domain in 'oraclecloud*.com' oraclecloud.eu oraclegovcloud.com oraclegovcloud.uk; do
    printf '%s\n' "ocir.*.oci.$domain" "artifacts.*.oci.$domain"
  done
  tr ',' '\n' <<<"$OCI_CONNECTOR_MATCH_IMAGES" | tr -d ' \t' | sed '/^$/d'
}

has_version() { [[ $version =~ ^v?1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= $1)); }

find_version() {
  version=$OCI_CONNECTOR_KUBELET_VERSION
  [[ -n $version ]] || version=$(kubelet --version 2>/dev/null | sed 's/^Kubernetes //' || true)
  if [[ -z $version && $mode == oke ]] &&
    OCI_CONNECTOR_ATTEMPTS=1 metadata instance/metadata/oke-k8version "$work/version" 2>/dev/null; then
    version=$(head -c 32 "$work/version")
  fi
  [[ -z $version ]] || has_version 26 || die "kubelet $version: credential providers need 1.26 or later"
  address=$OCI_CONNECTOR_ADDRESS
  if [[ -n $address ]] && ! has_version 34; then
    # An older one refuses tokenAttributes, and would not start.
    loud "kubelet ${version:-of unknown version} hands over no tokens of pods (1.34 does): nothing is done for $address"
    address=''
  fi
}

# provider NAME TOKEN IMAGE…: one provider, as JSON, which is YAML as well.
provider() {
  local provider=$1 token=$2 images
  shift 2
  images=$(printf ', "%s"' "$@")
  printf '{\n    "name": "%s",\n    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",\n' "$provider"
  printf '    "matchImages": [%s],\n    "defaultCacheDuration": "0s",\n' "${images:2}"
  if [[ -n $token ]]; then
    printf '    "tokenAttributes": {"serviceAccountTokenAudience": "%s", ' "$token"
    printf '"cacheType": "Token", "requireServiceAccount": true},\n'
  fi
  printf '    "args": ["--config", "%s"]\n  }' "$config"
}

# providers SEPARATOR
providers() {
  local images
  mapfile -t images < <(match_images)
  [[ "${images[*]}$OCI_CONNECTOR_ADDRESS$OCI_CONNECTOR_AUDIENCE" != *[\"\\]* ]] ||
    die 'an image, an address or an audience with a quote or a backslash'
  provider $name '' "${images[@]}"
  [[ -z $address ]] || { printf '%s' "$1" && provider $pod_name "$OCI_CONNECTOR_AUDIENCE" "$address"; }
}

# Puts FILE at the end of the list `providers` of a YAML document in block style. Every other byte stays.
merge_yaml() {
  awk -v file="$2" '
    function add(  line) { while ((getline line < file) > 0) print indent line; done = 1 }
    { bare = $0; sub(/\r$/, "", bare) }
    !found && bare ~ /^["\047]?providers["\047]?[ \t]*:/ {
      found = 1
      rest = bare; sub(/^[^:]*:[ \t]*/, "", rest); sub(/(^|[ \t]+)#.*$/, "", rest); gsub(/[ \t]/, "", rest)
      if (rest == "[]") { print "providers:"; add(); next }
      if (rest != "") { bad = 1; exit }
      print; next
    }
    found && !done && bare !~ /^[ \t]*(#.*)?$/ {
      if (bare ~ /^(---|\.\.\.)([ \t]|$)/) { bad = 1; exit }
      if (!listed && match(bare, /^ *-([ \t]|$)/)) { listed = 1; indent = bare; sub(/-.*$/, "", indent) }
      else if (bare ~ /^[^ ]/ && !(indent == "" && bare ~ /^-([ \t]|$)/)) { if (!listed) { bad = 1; exit } add() }
    }
    found && done && bare ~ /^---([ \t]|$)/ { bad = 1; exit }
    { print }
    END { if (bad || !found || (!done && !listed)) exit 3; if (!done) add() }
  ' "$1"
}

# The same for JSON.
merge_json() {
  awk -v file="$2" '
    { text = text $0 "\n" }
    END {
      while ((getline line < file) > 0) addition = addition line "\n"
      length_ = length(text); depth = 0; at = 0; empty = 1
      for (i = 1; i <= length_; i++) {
        c = substr(text, i, 1)
        if (quoted) {
          if (c == "\\") i++
          else if (c == "\"") { quoted = 0; key = substr(text, start, i - start) }
          continue
        }
        if (c ~ /[ \t\r\n]/) continue
        if (at && depth == 2 && c != "]") empty = 0
        if (c == "\"") { quoted = 1; start = i + 1 }
        else if (c == ":") { if (depth == 1) value = key }
        else if (c == "{" || c == "[") { depth++; if (c == "[" && depth == 2 && value == "providers") at = i }
        else if (c == "}" || c == "]") {
          if (at && depth == 2 && c == "]") {
            printf "%s%s%s%s", substr(text, 1, i - 1), (empty ? "" : ",\n"), addition, substr(text, i)
            exit 0
          }
          depth--
        } else if (c == "," && depth == 1) value = ""
      }
      exit 3
    }
  ' "$1"
}

# The kubelet's configuration of credential providers, on standard output.
render_kubelet_config() {
  local merged=0
  if [[ -z $base ]]; then
    printf '%s\n' '# Of install.sh of oci-connector.' 'apiVersion: kubelet.config.k8s.io/v1' \
      'kind: CredentialProviderConfig' 'providers:'
    printf -- '- '
    providers $'\n- ' && echo
    return
  fi
  ! grep -q "$name" "$root$base" || die "$base has $name already, of somebody else's making: take it out"
  if [[ $target == *.json ]]; then
    providers $',\n' >"$work/providers"
    merge_json "$root$base" "$work/providers" || merged=$?
  else
    { printf -- '- ' && providers $'\n- ' && echo; } >"$work/providers"
    merge_yaml "$root$base" "$work/providers" || merged=$?
  fi
  [[ $merged == 0 ]] || die "$base is not understood: a list «providers» in YAML's block style, or JSON, is"
}

render_registries() {
  cat <<END
# For CRI-O, which takes any registry for one with TLS: the agent of oci-connector on this node, plain HTTP on loopback.
# install.sh writes this to /etc/containers/registries.conf.d/ where CRI-O is.
[[registry]]
location = "${OCI_CONNECTOR_ADDRESS:-localhost:7450}"
insecure = true
END
}

has_crio() { [[ -n $crio || -d $root/etc/crio || -S $root/run/crio/crio.sock ]]; }

# Where a service's own flags are. Sets flags_file, as the unit reads it.
find_flags_file() {
  local file units candidates=() unit=''
  mapfile -t units < <(unit_files)
  grep -Eq '^[[:space:]]*([^#;[:space:]].*)?KUBELET_EXTRA_ARGS' ${units[@]+"${units[@]}"} /dev/null 2>/dev/null ||
    die "no unit kubelet.service takes KUBELET_EXTRA_ARGS: the kubelet's flags are to be added by hand: $added"
  for file in "${units[@]}"; do
    refuse_hidden "$file" "Environment=[\"']?"
    ! grep -Eq "^[[:space:]]*Environment=[\"']?KUBELET_EXTRA_ARGS=" "$file" || unit=${file#"$root"}
    mapfile -t -O ${#candidates[@]} candidates < <(
      sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$file" | grep -E '/(default|sysconfig)/kubelet$'
    )
  done
  # What a file of the environment says wins over the unit.
  for file in ${candidates[@]+"${candidates[@]}"}; do
    refuse_hidden "$root$file" ''
    ! grep -q '^[[:space:]]*KUBELET_EXTRA_ARGS=' "$root$file" 2>/dev/null || flags_file=$file
  done
  flags_file=${flags_file:-${unit:-${candidates[0]-}}}
  [[ -n $flags_file ]] || die "the kubelet's unit names no file for KUBELET_EXTRA_ARGS"
}

# refuse_hidden FILE PREFIX: where FILE assigns KUBELET_EXTRA_ARGS, but not right behind PREFIX, a regular expression.
refuse_hidden() {
  local line
  line=$(grep -E '^[[:space:]]*([^#;[:space:]](.*[^A-Za-z0-9_])?)?KUBELET_EXTRA_ARGS=' "$1" 2>/dev/null |
    grep -Ev "^[[:space:]]*$2KUBELET_EXTRA_ARGS=" || true)
  [[ -z $line ]] ||
    die "KUBELET_EXTRA_ARGS in ${1#"$root"} is not the first of its line: give it a line of its own, or add by hand: $added"
}

# The file with `added` behind what it gives to KUBELET_EXTRA_ARGS, on standard output.
render_flags() {
  local lines=() i last=-1 line value quote
  [[ ! -f $root$flags_file ]] || mapfile -t lines <"$root$flags_file"
  for ((i = 0; i < ${#lines[@]}; i++)); do
    [[ ! ${lines[i]} =~ ^[[:space:]]*(Environment=[\"\']?)?KUBELET_EXTRA_ARGS= ]] || last=$i
  done
  if ((last < 0)); then
    lines+=("KUBELET_EXTRA_ARGS=\"$added\"")
  else
    line=${lines[last]%"${lines[last]##*[![:space:]]}"}
    value=${line#*KUBELET_EXTRA_ARGS=}
    quote=${value:0:1}
    [[ ! $line =~ Environment=([\"\']) ]] || { quote=${BASH_REMATCH[1]} && value=$quote$value; }
    if [[ $line != *Environment=* && ($value == '' || $value == '""' || $value == "''") ]]; then
      lines[last]="${line%"$value"}\"$added\""
    elif [[ $quote == [\'\"] && $value == "$quote"*"$quote" &&
      ${value:1:-1} != *"$quote"* && $added != *"$quote"* ]]; then
      lines[last]="${line%?} $added$quote"
    elif [[ $quote != [\'\"] && $line != *Environment=* && $line != *\\ ]]; then
      lines[last]="$line $added"
    else
      die "KUBELET_EXTRA_ARGS in $flags_file is written in a way that is not understood: add by hand: $added"
    fi
  fi
  printf '%s\n' "${lines[@]}"
}

# Files, whole or not at all -----------------------------------------------------------------------------------------

# stage TARGET MODE FILE: TARGET becomes what FILE is, at the commit. What is so already is left alone.
stage() {
  local path=$root$1
  if [[ -f $path && ! -L $path ]] && cmp -s "$3" "$path" && [[ $(stat -c %a "$path") == "$2" ]]; then return; fi
  say "$verb $1"
  [[ -z $dry_run ]] || return 0
  make_dir "$(dirname "$1")"
  temporary=$(dirname "$path")/.$(basename "$1").oci-connector
  targets+=("$1") && temporaries+=("$temporary")
  rm -f "$temporary"
  # A password may be in it: never readable to others before its mode is set.
  (umask 077 && cp "$3" "$temporary")
  chmod "$2" "$temporary"
}

# make_dir PATH: with its parents; those that are new go with the uninstallation.
make_dir() {
  [[ ! -d $root$1 ]] || return 0
  make_dir "$(dirname "$1")"
  mkdir "$root$1"
  [[ $1 == /run/* || $1 == /var/lib/oci-connector* ]] || new_dirs+=("$1")
}

# Killed at any point it leaves what the next run finishes, and what --uninstall takes back.
commit() {
  local i target
  [[ -d $undo ]] || start_undo
  is_committing=1
  mkdir -p "$state" && chmod 700 "$state"
  ((${#new_dirs[@]} == 0)) || printf '%s\n' "${new_dirs[@]}" >>"$state/dirs"
  printf '%s' "$base" >"$state/base"
  printf '%s' "$existing_bin" >"$state/base-bin"
  printf '%s' "$added" >"$state/added"
  printf '%s' "$flags_file" >"$state/flags-file"
  for target in ${targets[@]+"${targets[@]}"}; do
    remember "$target" "$undo/before" "$undo/targets"
    remember "$target" "$state/original" "$state/files"
  done
  echo "$mode" >"$state/mode"
  for ((i = 0; i < ${#targets[@]}; i++)); do
    target=${targets[i]}
    # What was written of the executable nobody asks for.
    [[ $target == */"$name" ]] || keep_copy "${temporaries[i]}" "$state/written$target"
    mv -fT "${temporaries[i]}" "$root$target"
  done
  mapfile -t committed <"$undo/targets"
}

start_undo() {
  rm -rf "$undo.new"
  mkdir -p "$undo.new" && chmod 700 "$undo.new"
  : >"$undo.new/targets"
  command_line >"$undo.new/command-line"
  [[ ! -d $state ]] || cp -a "$state" "$undo.new/state"
  mv -T "$undo.new" "$undo"
}

# remember TARGET FOLDER LIST: what TARGET is, unless LIST has it already.
remember() {
  ! grep -qxF -- "$1" "$3" 2>/dev/null || return 0
  keep_copy "$root$1" "$2$1"
  echo "$1" >>"$3"
}

# keep_copy FILE COPY: nothing, where there is no FILE.
keep_copy() {
  [[ -e $1 || -L $1 ]] || return 0
  mkdir -p "$(dirname "$2")"
  rm -f "$2"
  cp -a "$1" "$2"
}

# Takes back what this run has done, and what an interrupted one before it had.
roll_back() {
  local target i
  rm -f ${temporaries[@]+"${temporaries[@]}"}
  if [[ -n $is_committing ]]; then
    while IFS= read -r target; do
      put_back "$undo/before$target" "$target" || say "$target could not be put back"
    done <"$undo/targets"
    drop_new_dirs
    rm -rf "$state"
    [[ ! -d $undo/state ]] || cp -a "$undo/state" "$state"
    rm -rf "$undo"
  fi
  for ((i = ${#new_dirs[@]} - 1; i >= 0; i--)); do rmdir "$root${new_dirs[i]}" 2>/dev/null || true; done
  rm -rf "$undo.new"
  rmdir "${state%/*}" 2>/dev/null || true
}

# put_back FILE TARGET: TARGET becomes FILE, or absent like it.
put_back() {
  local temporary
  temporary=$(dirname "$root$2")/.$(basename "$2").oci-connector
  # Nothing takes the place of a folder.
  if [[ -d $root$2 && ! -L $root$2 ]]; then rm -f "$temporary" && return; fi
  if [[ -e $1 || -L $1 ]]; then cp -a "$1" "$temporary" && mv -fT "$temporary" "$root$2"; else rm -f "$root$2" "$temporary"; fi
}

drop_new_dirs() {
  local dir
  [[ -f $state/dirs ]] || return 0
  while IFS= read -r dir; do rmdir "$root$dir" 2>/dev/null || true; done < <(sort -ru "$state/dirs")
}

# Services -----------------------------------------------------------------------------------------------------------

is_active() { command -v systemctl >/dev/null && systemctl is-active --quiet "$1"; }

wait_for_turn() { sleep $((OCI_CONNECTOR_JITTER_SECONDS > 0 ? RANDOM % OCI_CONNECTOR_JITTER_SECONDS : 0)); }

restart_kubelet() {
  [[ $1 != */systemd/* ]] || systemctl daemon-reload
  say 'restarting the kubelet'
  systemctl restart kubelet && sleep "$OCI_CONNECTOR_SETTLE_SECONDS" && is_active kubelet
}

reload_crio() {
  ! is_active crio || systemctl reload crio || say 'CRI-O was not reloaded: do it, or pulls from connectors fail'
}

# The installation ---------------------------------------------------------------------------------------------------

install_all() {
  # Not local: the trap reads them. `committed` has what an interrupted run put in its place, too.
  targets=() temporaries=() new_dirs=() committed=() is_committing='' temporary='' flags_file=''
  local verb='writing' bin_dir base target added version address executable flags_mode=644
  [[ -z $dry_run ]] || verb='would write'
  [[ -n $dry_run || -n $root || $(id -u) == 0 ]] || die 'root it is that installs'
  [[ ! -f $state/mode || $(cat "$state/mode") == "$mode" ]] ||
    die 'the node has it in another way, by OKE or without: --uninstall it first'
  decide_flags
  find_version
  [[ $mode == oke ]] || find_flags_file
  # Whatever can fail comes before the first file is put in its place; what fails after that is taken back.
  trap 'roll_back; say "nothing was changed"' EXIT
  download
  stage "$bin_dir/$name" 755 "$executable"
  [[ -z $temporary ]] || try_to_run "$temporary"
  if [[ -n $address ]]; then
    # One executable is one provider to the kubelet, and this one has the tokens of pods.
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$bin_dir/$name" >"$work/rendered"
    stage "$bin_dir/$pod_name" 755 "$work/rendered"
  fi
  render_config >"$work/rendered"
  [[ ! -s $work/rendered ]] || stage "$config" 600 "$work/rendered"
  render_kubelet_config >"$work/rendered"
  stage "$target" 600 "$work/rendered"
  render_registries >"$work/rendered"
  ! has_crio || stage "$registries" 644 "$work/rendered"
  # The kubelet's flags come last.
  if [[ $mode == plain && -n $added ]] && ! grep -qF -- "$added" "$root$flags_file" 2>/dev/null; then
    [[ ! -f $root$flags_file ]] || flags_mode=$(stat -c %a "$root$flags_file")
    render_flags >"$work/rendered"
    stage "$flags_file" "$flags_mode" "$work/rendered"
  fi
  printf '%s' "$added" >"$work/added"
  if [[ -n $dry_run ]]; then
    trap - EXIT
    return
  fi
  ((${#targets[@]} > 0)) || say 'all is in place'
  commit
  ! command -v restorecon >/dev/null || restorecon "$root$bin_dir/$name" || true
  # From here on a signal leaves to the next run what is to be done.
  trap - EXIT
  use_new_files
  rm -rf "$undo"
}

try_to_run() {
  local said
  said=$(timeout 30 "$1" --version </dev/null 2>&1 >/dev/null) && return
  [[ $said != *libatomic* ]] ||
    die 'the executable needs libatomic.so.1, which is not here: dnf install libatomic, or apt-get install libatomic1'
  die "the executable does not run on this machine${said:+: $(head -n 1 <<<"$said")}"
}

use_new_files() {
  local lost=''
  ! is_new "$registries" || reload_crio
  is_new "$target" || is_new "$flags_file" || return 0
  # On OKE the kubelet starts at the end of OKE's own script, with its flags.
  [[ $mode != oke || -f $ran ]] || return 0
  if ! is_active kubelet; then
    say 'the kubelet is not running: it finds its flags when it starts'
    return
  fi
  wait_for_turn
  if ! restart_kubelet "$flags_file"; then
    lost='it did not come back (journalctl -u kubelet)'
  elif [[ $mode == plain ]]; then
    lost=$(lost_flags)
  fi
  [[ -n $lost ]] || return 0
  roll_back
  restart_kubelet "$flags_file" || true
  die "the kubelet does not run with these flags, $lost: all is as it was; add by hand: $added"
}

# What the restarted kubelet lacks: a flag of ours, as its last one, or a word that it had before.
lost_flags() {
  local word now=() had=() existing_bin='' existing_config=''
  local -A has=()
  mapfile -d '' -t now < <(command_line)
  ((${#now[@]} > 0)) || return 0
  flags_in "${now[@]}"
  [[ ${existing_bin%/} == "$bin_dir" ]] || printf 'without %s ' "$(flag --image-credential-provider-bin-dir "$bin_dir")"
  [[ $added != *--image-credential-provider-config=* || $existing_config == "$target" ]] ||
    printf 'without %s ' "$(flag --image-credential-provider-config "$target")"
  mapfile -d '' -t had <"$undo/command-line"
  for word in "${now[@]}"; do has[=$word]=1; done
  for word in ${had[@]+"${had[@]}"}; do
    [[ -n ${has[=$word]-} ]] || printf 'no longer with %s ' "$word"
  done
}

is_new() { printf '%s\n' ${committed[@]+"${committed[@]}"} | grep -qxF -- "${1:-/}"; }

# The provider's own configuration: of the settings, or what is there, or what says that there is none.
render_config() {
  if [[ -f $root$config ]] && ! cmp -s "$root$config" "$state/written$config"; then
    [[ -z $OCI_CONNECTOR_CONFIG || $OCI_CONNECTOR_CONFIG == "$(cat "$root$config")" ]] ||
      say "$config is somebody else's: it stays, and OCI_CONNECTOR_CONFIG does not count"
  elif [[ -n $OCI_CONNECTOR_CONFIG ]]; then
    printf '%s\n' "$OCI_CONNECTOR_CONFIG"
  else
    echo '# Of install.sh of oci-connector: docs/guides/oracle.md has all fields.'
    echo 'ocirAuthMethod: INSTANCE_PRINCIPAL'
    [[ -z $OCI_CONNECTOR_ADDRESS ]] || printf 'connector:\n  address: %s\n' "$OCI_CONNECTOR_ADDRESS"
  fi
}

# OKE ----------------------------------------------------------------------------------------------------------------

# Sets init to the command that makes this machine a node of OKE.
find_oke_init() {
  local script=$root/var/run/oke-init.sh
  if [[ -n $OCI_CONNECTOR_OKE_COMMAND ]]; then
    words "$OCI_CONNECTOR_OKE_COMMAND"
    init=("${split[@]}")
  elif metadata instance/metadata/oke_init_script "$work/encoded" &&
    base64 --decode <"$work/encoded" >"$work/init" && [[ -s $work/init ]]; then
    [[ -n $dry_run ]] ||
      { mkdir -p "$(dirname "$script")" && (umask 077 && cp "$work/init" "$script") && chmod 700 "$script"; }
    init=(bash "$script")
  elif command -v oke >/dev/null; then
    init=(oke bootstrap)
  elif [[ -f $root/etc/oke/oke-install.sh ]]; then
    init=(bash "$root/etc/oke/oke-install.sh")
  else
    die "OKE's init script cannot be had: is this a node of OKE? If it is not: --no-oke"
  fi
}

# run_oke_init EXTRA: with the arguments of ours and the kubelet's flags. Once per boot for the same ones.
run_oke_init() {
  local arguments=(${passed[@]+"${passed[@]}"}) mark
  [[ -z $1 ]] || arguments+=(--kubelet-extra-args "$1")
  mark=$(printf '%s\0' "${init[@]}" ${arguments[@]+"${arguments[@]}"} | sha256sum)
  if [[ -n $dry_run ]]; then say "would run ${init[*]} ${arguments[*]-}" && return; fi
  if [[ $(cat "$ran" 2>/dev/null) == "$mark" ]]; then return; fi
  say "running ${init[*]} ${arguments[*]-}"
  "${init[@]}" ${arguments[@]+"${arguments[@]}"} || return
  mkdir -p "$(dirname "$ran")"
  echo "$mark" >"$ran"
}

install_on_oke() {
  local with=$extra
  find_oke_init
  words "$extra"
  flags_in ${split[@]+"${split[@]}"}
  locked install_all
  if [[ $status != 0 ]]; then
    [[ $OCI_CONNECTOR_ON_FAILURE != stop ]] ||
      die 'the credential provider is not installed, and the node does not join (OCI_CONNECTOR_ON_FAILURE)'
    loud 'THE CREDENTIAL PROVIDER IS NOT INSTALLED, for the reason above. The node joins without: private images fail.'
    # What an earlier run installed is still there.
    cat "$state/added" >"$work/added" 2>/dev/null || true
  fi
  [[ ! -s $work/added ]] || with="$extra${extra:+ }$(cat "$work/added")"
  if [[ -z $dry_run && -f $state/mode ]]; then
    printf '%s\0' "$extra" ${passed[@]+"${passed[@]}"} >"$state/oke"
  fi
  run_oke_init "$with" || die "OKE's init failed with exit code $?"
  return "$status"
}

uninstall_all() {
  local target path content i added was_mode
  added=$(cat "$state/added") && was_mode=$(cat "$state/mode")
  mapfile -t committed < <(cat "$state/files" 2>/dev/null)
  # First all answers, then the first change.
  for target in "${committed[@]}"; do
    path=$root$target
    say "${verb:-putting} back $target"
    [[ $target == "$(cat "$state/flags-file")" && -f $path ]] || continue
    # An interrupted uninstallation may have done this one.
    ! cmp -s "$path" "$state/changed$target" || continue
    [[ -n $dry_run ]] || rm -f "$state/changed$target"
    if cmp -s "$path" "$state/written$target" || cmp -s "$path" "$state/original$target"; then continue; fi
    # Somebody has changed the kubelet's flags since: only what is ours goes.
    content=$(cat "$path" && printf x) && content=${content%x}
    [[ $content == *"$added"* ]] ||
      die "$target has changed, and these are not found in it, take them out by hand: $added"
    [[ -z $dry_run ]] || continue
    content=${content/" $added"/}
    keep_copy "$path" "$state/changed$target"
    printf '%s' "${content/"$added"/}" >"$state/changed$target"
  done
  [[ -z $dry_run ]] || return 0
  # The kubelet is told first: it would not start without the executable that its configuration names.
  [[ $was_mode != oke ]] || run_oke_init "$extra" || die "OKE's init failed with exit code $?: nothing was removed"
  # Before the first file goes, for until its restart the kubelet starts an executable that is not there.
  [[ $was_mode == oke ]] || wait_for_turn
  for ((i = ${#committed[@]} - 1; i >= 0; i--)); do
    target=${committed[i]}
    if [[ -f $state/changed$target ]]; then
      put_back "$state/changed$target" "$target"
    elif [[ $target == "$config" && -f $root$config ]] && ! cmp -s "$root$config" "$state/written$config"; then
      say "$config has changed since: it stays"
    else
      put_back "$state/original$target" "$target"
    fi
  done
  if [[ $was_mode == plain ]] && is_active kubelet; then
    restart_kubelet /systemd/ || say 'the kubelet is not running again: journalctl -u kubelet says why'
  fi
  ! is_new "$registries" || reload_crio
  drop_new_dirs
  rm -rf "$undo" "$undo.new" "$state" "$root/run/oci-connector/credential-provider"
  rm -f "$root/run/oci-connector/install.lock" "$ran"
  rmdir "$root/var/lib/oci-connector" "$root/run/oci-connector" 2>/dev/null || true
}

uninstall() {
  local remembered verb=''
  [[ -f $state/mode ]] || { say 'nothing is installed' && return; }
  [[ -z $dry_run ]] || verb='would put'
  if [[ $(cat "$state/mode") == oke ]]; then
    mapfile -d '' -t remembered <"$state/oke"
    extra=${remembered[0]-}
    passed=("${remembered[@]:1}")
    find_oke_init
  fi
  locked uninstall_all
  return "$status"
}

# locked COMMAND: one run at a time, its exit code in status. `set -e` holds within, so this stands in no condition.
locked() {
  set +e
  (
    set -e
    if [[ -n $dry_run ]]; then
      "$@"
      exit
    fi
    mkdir -p "$root/run/oci-connector"
    exec 9>"$root/run/oci-connector/install.lock"
    ! command -v flock >/dev/null || flock -w 300 9
    "$@" 9>&-
  )
  status=$?
  set -e
}

main() {
  local mode=oke action=install dry_run='' crio='' extra='' passed=() init=() status=0
  local existing_bin='' existing_config='' split=() all=()
  while (($# > 0)); do
    case $1 in
    --no-oke) mode=plain ;;
    --uninstall) action=uninstall ;;
    --dry-run) dry_run=1 ;;
    --crio) crio=1 ;;
    --kubelet-extra-args=*) extra+="${extra:+ }${1#*=}" ;;
    --kubelet-extra-args)
      (($# > 1)) || die '--kubelet-extra-args has no value'
      extra+="${extra:+ }$2" && shift
      ;;
    *) passed+=("$1") ;;
    esac
    shift
  done
  [[ $mode == oke || ${#passed[@]} == 0 ]] || die "${passed[0]}: no such option"
  [[ $mode == oke || -z $extra ]] || die "--kubelet-extra-args is for OKE; --no-oke reads what the kubelet has"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if [[ $action == uninstall ]]; then
    uninstall
  elif [[ $mode == oke ]]; then
    install_on_oke
  else
    flags_of_node
    locked install_all
    return "$status"
  fi
}

main "$@"

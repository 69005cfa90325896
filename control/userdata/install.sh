#!/bin/sh
# Installs reeve, once: cloud-init runs this at each boot until it has worked, and then it is gone.
# Whatever fails before the unit is started, nothing is started, and this boot's `cloud-init status` is error.
set -eu
umask 077
# The clouds' own programs may lie beside the system's.
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:/snap/bin

binary=@BINARY@
sha256=@SHA256@
program=@PROGRAM@
owner=@OWNER@
stage=@STAGE@
state=/var/lib/reeve
tries=60

say() { printf 'reeve: %s\n' "$1"; }
fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}
digest() { sha256sum <"$1" | cut -d' ' -f1; }

# What fetches: curl; else the Python that cloud-init itself runs on. Of a bucket, the cloud's own program, by the machine's own role.
case $binary in
  https://*)
    if command -v curl >/dev/null; then with=curl
    elif command -v python3 >/dev/null; then with=python3
    else with=/usr/libexec/platform-python
    fi ;;
  s3://*) with=aws ;;
  gs://*) if command -v gcloud >/dev/null; then with=gcloud; else with=gsutil; fi ;;
  *) with=cp ;;
esac
command -v "$with" >/dev/null ||
  fail "Cannot fetch $binary: this machine has no program for it ($with). Nothing was placed." \
    "Take an image that has it, or name the executable by https://."

# A file of over 512 MiB is none of ours, and whoever sends it a byte at a time is not waited for: neither disk nor boot is held up.
# Python is given https alone, as curl is: a redirect to anything else ends it.
fetch() (
  ulimit -f 1048576
  limit='timeout -k 10 900'
  case $with in
    curl)
      $limit curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --tlsv1.2 --max-redirs 5 --globoff \
        --connect-timeout 10 --max-time 900 --speed-limit 1024 --speed-time 30 --output "$1" -- "$binary" ;;
    *python*)
      $limit "$with" -c 'import shutil, sys, urllib.request as u
o = u.OpenerDirector()
for h in u.ProxyHandler, u.HTTPSHandler, u.HTTPDefaultErrorHandler, u.HTTPRedirectHandler, u.HTTPErrorProcessor, u.UnknownHandler: o.add_handler(h())
with o.open(sys.argv[1], timeout=30) as a, open(sys.argv[2], "wb") as b: shutil.copyfileobj(a, b)' "$binary" "$1" ;;
    aws) $limit aws s3 cp --only-show-errors "$binary" "$1" ;;
    gcloud) $limit gcloud storage cp "$binary" "$1" ;;
    gsutil) $limit gsutil -q cp "$binary" "$1" ;;
    cp) cp -- "$binary" "$1" ;;
  esac
)

# The executable: under a name that nobody runs until its digest is the one that was asked for, then in place by one rename.
if [ ! -f "$program" ] || [ "$(digest "$program")" != "$sha256" ]; then
  mkdir -p -m 0755 "${program%/*}"
  part=$(mktemp -d "${program%/*}/.reeve-XXXXXX")
  trap 'rm -rf "$part"' EXIT
  n=1
  until fetch "$part/reeve"; do
    [ "$with" != cp ] || fail "Cannot take $binary from this image. Nothing was placed." "See the line above."
    [ "$n" -lt "$tries" ] ||
      fail "Cannot fetch $binary: $tries attempts failed. Nothing was placed." "See the lines above. It is tried again at the next boot."
    [ "$n" -gt 1 ] || say "cannot fetch $binary yet; it is tried again, $tries times in all"
    n=$((n + 1))
    sleep 5
  done
  found=$(digest "$part/reeve")
  [ "$found" = "$sha256" ] ||
    fail "Cannot install reeve: $binary has the SHA-256 $found, and $sha256 was asked for. Nothing was placed." \
      "Someone changed the file, or the user-data is for another version. Render it anew, or put the file right and boot again."
  chmod 0755 "$part/reeve"
  "$part/reeve" version >/dev/null ||
    fail "Cannot install reeve: $binary does not run on this machine ($(uname -m)). Nothing was placed." \
      "Name the executable of this processor."
  sync "$part/reeve"
  mv -f "$part/reeve" "$program"
fi
chown 0:0 "$program"
chmod 0755 "$program"

id -u reeve >/dev/null 2>&1 || systemd-sysusers --inline 'u reeve - "runs reeve" / /usr/sbin/nologin'

# Each file is copied, so that a stop anywhere in between finds it again at the next boot.
place() { if [ -f "$stage/$1" ]; then install -D -T -o 0 -g 0 -m 0644 "$stage/$1" "$2"; fi; }
install -d -o 0 -g 0 -m 0755 /etc/reeve
place reeve.yaml /etc/reeve/reeve.yaml
if [ -n "$owner" ]; then
  install -d -o 0 -g 0 -m 0755 "$owner"
  # A disk that has a policy has an owner who decided: a restored snapshot gets neither the older policy back nor an `on` that was deleted.
  # The policy comes last and whole, so that a stop before it leaves a machine that is still new.
  if [ ! -e "$owner/policy.yaml" ] && [ ! -L "$owner/policy.yaml" ]; then
    place on "$owner/on"
    place policy.yaml "$owner/.policy.yaml.new"
    sync
    [ ! -f "$owner/.policy.yaml.new" ] || mv -T "$owner/.policy.yaml.new" "$owner/policy.yaml"
  fi
fi
install -d -o reeve -g reeve -m 0700 "$state"
# A state folder that came with a volume of its own has its identity already.
if [ -f "$stage/token" ] && [ ! -e "$state/identity/agent.json" ]; then
  # The folder is the agent's own, and may hold a link by this name: so this is done with its rights, never with root's.
  setpriv --reuid=reeve --regid=reeve --clear-groups sh -c 'rm -f -- "$1" && cat >"$1"' sh "$state/join-token" <"$stage/token"
fi
place local-groups.conf /etc/systemd/system/reeve.service.d/local-groups.conf
place reeve.service /etc/systemd/system/reeve.service
sync
systemctl daemon-reload
systemctl enable --quiet reeve.service
date +'reeve: starting at %s.%N'
systemctl start --no-block reeve.service
rm -rf "$stage"
rm -f "$0"

# The agent goes on by itself whatever is said here. Ready means enrolled.
n=0
while [ "$n" -lt 30 ]; do
  case $(systemctl show --property=ActiveState --value reeve.service) in
    active) say "enrolled, and running"; exit 0 ;;
    failed)
      journalctl --unit=reeve.service --output=cat --lines=5 --no-pager >&2
      fail "Cannot join: reeve.service has ended." "Its last lines are above; \`reeve status\` says why, too." ;;
  esac
  n=$((n + 1))
  sleep 1
done
say "installed, and not enrolled yet; the agent goes on trying by itself. Its words: journalctl -u reeve"

/**
 * What runs when the package `reeve` comes and goes. Nothing is started that was not running, nothing that the owner or the agent wrote is
 * removed, and no package manager waits for a control plane: `--no-block`.
 */
const ARRIVED = `systemd-sysusers /usr/lib/sysusers.d/reeve.conf
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`;
/** The agent finishes its running commands, then starts again as the new one. Its processes of provider local go on. */
const UPGRADED = `if [ -d /run/systemd/system ]; then systemctl --no-block try-restart reeve.service; fi
`;
const INSTALLED = `echo "reeve is installed and not started. Write /etc/reeve/reeve.yaml and /etc/reeve/owner/policy.yaml, then: systemctl enable --now reeve"
`;
const LEAVING = `if [ -d /run/systemd/system ]; then systemctl disable --quiet --now reeve.service; else systemctl disable --quiet reeve.service; fi
`;
const GONE = `if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`;
const KEPT = `for folder in /etc/reeve /var/lib/reeve; do
  if [ -e "$folder" ]; then echo "kept: $folder (policy, identity and audit log are your evidence; remove it yourself when you need it no more)"; fi
done
`;

function indented(script: string): string {
  return script.replace(/^(?=.)/gm, "    ");
}

/** Maintainer scripts (Debian Policy 6), by file name. */
export const DEB_SCRIPTS: Readonly<Record<string, string>> = {
  postinst: `#!/bin/sh
set -e
if [ "$1" = configure ]; then
${indented(ARRIVED)}  if [ -n "$2" ]; then
${indented(UPGRADED)}  else
${indented(INSTALLED)}  fi
fi
`,
  prerm: `#!/bin/sh
set -e
if [ "$1" = remove ]; then
${indented(LEAVING)}fi
`,
  postrm: `#!/bin/sh
set -e
if [ "$1" = remove ]; then
${indented(GONE)}fi
if [ "$1" = purge ]; then
${indented(KEPT)}fi
`,
};

/** Scriptlets of the RPM. \`$1\`: how many instances of the package there will be. */
export const RPM_SCRIPTS = `
%post
set -e
${ARRIVED}if [ "$1" -ge 2 ]; then
${UPGRADED}else
${INSTALLED}fi

%preun
set -e
if [ "$1" -eq 0 ]; then
${LEAVING}fi

%postun
set -e
${GONE}if [ "$1" -eq 0 ]; then
${KEPT}fi
`;

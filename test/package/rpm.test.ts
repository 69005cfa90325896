import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { packages } from "./built.ts";
import { lifecycle } from "./lifecycle.ts";

setDefaultTimeout(240_000);

// Debian's rpm knows of no package of dpkg's: what the RPM requires is looked at below.
lifecycle({
  kind: "rpm",
  install: "rpm --install --nodeps /root/reeve.rpm",
  upgrade: "rpm --upgrade --nodeps --force /root/reeve.rpm",
  remove: "rpm --erase reeve",
  purge: null,
});

test("an RPM holds the same, with modes of its own, and requires systemd", () => {
  const { rpm, controlRpm } = packages();
  const asked = (...words: string[]): string =>
    spawnSync("rpm", ["--query", "--package", ...words], { encoding: "utf8" }).stdout;
  const agent = asked("--queryformat", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]", rpm);
  for (const line of [
    "-rwxr-xr-x root /usr/bin/reeve\n",
    "-rw-r--r-- root /usr/lib/systemd/system/reeve.service\n",
    "-rw-r--r-- root /usr/share/zsh/site-functions/_reeve\n",
    "drwxr-xr-x root /etc/reeve/owner\n",
    "-rw-r--r-- root /usr/share/man/man1/reeve.1.gz\n",
  ])
    expect(agent).toContain(line);
  expect(asked("--requires", rpm)).toContain("systemd\n");
  expect(asked("--list", controlRpm)).toContain("/usr/bin/reeve-control\n");
});

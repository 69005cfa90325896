import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { packages } from "./built.ts";
import { lifecycle } from "./lifecycle.ts";

setDefaultTimeout(240_000);

const DPKG = "DEBIAN_FRONTEND=noninteractive dpkg";
lifecycle({
  kind: "deb",
  install: `${DPKG} --install /root/reeve.deb`,
  upgrade: `${DPKG} --install /root/reeve.deb`,
  remove: `${DPKG} --remove reeve`,
  purge: `${DPKG} --purge reeve`,
});

test("a Debian package holds executable, unit, user, manual, completions and docs, all root's", () => {
  const { deb, controlDeb } = packages();
  const listed = (path: string): string => spawnSync("dpkg-deb", ["--contents", path], { encoding: "utf8" }).stdout;
  const agent = listed(deb);
  for (const path of [
    "/usr/bin/reeve",
    "/usr/lib/systemd/system/reeve.service",
    "/usr/lib/sysusers.d/reeve.conf",
    "/usr/share/man/man1/reeve.1.gz",
    "/usr/share/man/man5/reeve.yaml.5.gz",
    "/usr/share/man/man5/reeve-policy.5.gz",
    "/usr/share/bash-completion/completions/reeve",
    "/usr/share/zsh/vendor-completions/_reeve",
    "/usr/share/fish/vendor_completions.d/reeve.fish",
    "/usr/share/doc/reeve/OPERATIONS.md",
    "/usr/share/doc/reeve/copyright",
  ])
    expect(agent).toContain(` .${path}\n`);
  expect(agent.split("\n").filter((line) => line !== "" && !/ root\/root /.test(line))).toEqual([]);
  expect(listed(controlDeb)).toContain(" ./usr/bin/reeve-control\n");
});

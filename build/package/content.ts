import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Command } from "commander";
import { bashScript } from "../../agent/commands/completion/bash.ts";
import { fishScript } from "../../agent/commands/completion/fish.ts";
import { nodeOf } from "../../agent/commands/completion/tree.ts";
import { zshScript } from "../../agent/commands/completion/zsh.ts";
import { ROOT } from "../command.ts";
import { exitCodes, filePages, type Page, programPage } from "./manual.ts";

/** One file of a package: its bytes, or the file that they are copied from. A folder has neither. All belong to root. */
export type Item =
  | { readonly path: string; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly path: string; readonly mode: number; readonly from: string }
  | { readonly path: string; readonly mode: number; readonly folder: true };

export type Kind = "deb" | "rpm";
export type Content = {
  readonly name: "reeve" | "reeve-control";
  readonly summary: string;
  /** What it lacks without: in the words that both kinds of package share. */
  readonly needs: readonly string[];
  items(kind: Kind, executable: string): Item[];
};

/** Where zsh looks for what packages bring. */
const ZSH = { deb: "/usr/share/zsh/vendor-completions", rpm: "/usr/share/zsh/site-functions" };

/** The agent and the customer's tools. Nothing that the owner writes is among its files, so no package touches it. */
export function agentContent(program: Command, version: string): Content {
  const see = ["reeve.yaml(5)", "reeve-policy(5)", "reeve-control(1)"];
  const pages = [programPage(program, { version, after: exitCodes(), see }), ...filePages(version)];
  return {
    name: "reeve",
    summary: "carries out a vendor's signed commands in your account, as far as your policy allows",
    needs: ["systemd"],
    items: (kind, executable) => [
      { path: "/usr/bin/reeve", mode: 0o755, from: executable },
      text("/usr/lib/systemd/system/reeve.service", packagedUnit()),
      text("/usr/lib/sysusers.d/reeve.conf", source("deploy/systemd/reeve.sysusers.conf")),
      { path: "/etc/reeve", mode: 0o755, folder: true },
      { path: "/etc/reeve/owner", mode: 0o755, folder: true },
      { path: "/etc/reeve/owner/approvals", mode: 0o755, folder: true },
      ...common("reeve", kind, program, pages),
      ...["OPERATIONS", "POLICY", "AUDIT-LOG", "PROVIDERS", "REFUSALS", "THREAT-MODEL"].map((name) =>
        text(`/usr/share/doc/reeve/${name}.md`, source(`docs/${name}.md`)),
      ),
      text("/usr/share/doc/reeve/examples/reeve.yaml", source("deploy/reeve.yaml")),
      text("/usr/share/doc/reeve/examples/local-groups.conf", source("deploy/systemd/local-groups.conf")),
    ],
  };
}

/** The vendor's side. */
export function controlContent(program: Command, version: string): Content {
  const pages = [programPage(program, { version, after: exitCodes(), see: ["reeve(1)"] })];
  return {
    name: "reeve-control",
    summary: "the reference control plane of reeve: joins agents, sends them signed commands",
    needs: [],
    items: (kind, executable) => [
      { path: "/usr/bin/reeve-control", mode: 0o755, from: executable },
      ...common("reeve-control", kind, program, pages),
      text("/usr/share/doc/reeve-control/PROTOCOL.md", source("docs/PROTOCOL.md")),
    ],
  };
}

/** The unit as a package brings it: a package's executable lies in /usr/bin. */
export function packagedUnit(): string {
  const unit = source("deploy/systemd/reeve.service");
  const made = unit.replace(" /usr/local/bin/reeve run ", " /usr/bin/reeve run ");
  if (made === unit) throw new Error("the unit does not start /usr/local/bin/reeve");
  return made;
}

function common(name: string, kind: Kind, program: Command, pages: readonly Page[]): Item[] {
  const tree = nodeOf(program);
  return [
    text(`/usr/share/bash-completion/completions/${name}`, bashScript(tree)),
    text(`${ZSH[kind]}/_${name}`, zshScript(tree)),
    text(`/usr/share/fish/vendor_completions.d/${name}.fish`, fishScript(tree)),
    ...pages.map(
      (page): Item => ({
        path: `/usr/share/man/man${page.name.at(-1)}/${page.name}.gz`,
        mode: 0o644,
        bytes: gzipSync(page.text, { level: 9 }),
      }),
    ),
    text(`/usr/share/doc/${name}/copyright`, source("LICENSE")),
    text(`/usr/share/doc/${name}/CHANGELOG.md`, source("CHANGELOG.md")),
  ];
}

function text(path: string, words: string): Item {
  return { path, mode: 0o644, bytes: Buffer.from(words) };
}

function source(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

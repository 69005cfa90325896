import { timeText } from "../audit/time.ts";
import type { Config } from "../config.ts";
import { digestOf } from "../wire/envelope.ts";
import { TOKEN_HEADER } from "../wire/token.ts";
import { certificatePem } from "../wire/x509.ts";
import type { Facts } from "./facts.ts";
import type { Support } from "./gatherSupport.ts";
import type { Line } from "./line.ts";
import { type TarFile, tarOf } from "./tar.ts";
import { linesJson, linesText } from "./words.ts";

type Kept = TarFile & { readonly why: string };
type Left = { readonly name: string; readonly because: string };

/** A tripwire behind the choice of files: what bears one of these marks is left out, whatever file it stands in. */
const SECRET_MARKS = ["PRIVATE KEY-----", `${Buffer.from(TOKEN_HEADER).toString("base64url")}.`];

/** The support archive: what doctor found and what it was found from, with a MANIFEST that says for each file why it is there. Pure. */
export function supportArchive(facts: Facts, lines: readonly Line[], support: Support): Uint8Array {
  const { kept, left } = sifted(filesOf(facts, lines, support));
  const manifest = { name: "MANIFEST", bytes: Buffer.from(manifestText(facts, kept, left), "utf8") };
  return tarOf([manifest, ...kept], Math.floor(facts.ran.at / 1000));
}

function filesOf(facts: Facts, lines: readonly Line[], support: Support): (Kept | Left)[] {
  const about = { version: facts.ran.version, time: timeText(facts.ran.at) };
  return [
    file("doctor.txt", "what doctor found, for people", linesText(lines)),
    file("doctor.json", "the same, for programs", `${linesJson(lines, about)}\n`),
    file("system.json", "kernel, distribution and uptime: what the executable ran on", json(support.system)),
    ...installedFiles(facts, support),
  ];
}

function installedFiles(facts: Facts, { installed: more }: Support): (Kept | Left)[] {
  const { installed } = facts;
  if (installed === null || more === null)
    return [{ name: "config.json", because: "there is no config that can be read, so nothing else was looked for" }];
  const { config, owner, identity } = installed;
  const read = owner.policy;
  const unshared =
    "policy" in read ? "the policy does not share itself (share: [policy])" : "it cannot be read as a policy";
  return [
    file(
      "config.json",
      "the config as it was understood, without comments and without the arguments of groups' commands",
      json(publicConfig(config)),
    ),
    more.policy === null
      ? {
          name: "policy.yaml",
          because: `${unshared}; its digest and revision stand in doctor.txt. Add it by hand if you want to`,
        }
      : {
          name: "policy.yaml",
          why: "the policy, which shares itself with the vendor (share: [policy])",
          bytes: more.policy,
        },
    optional("status.json", "what the agent last said of itself", more.status, "it is not there, or cannot be read"),
    optional("log-head.txt", "the newest signed head of the log", more.head, "there is none, or it cannot be read"),
    optional(
      "log-newest.jsonl",
      "the log's newest entries: the control plane is handed the same lines",
      more.entries,
      "there is no log, or it cannot be read",
    ),
    file(
      "files.txt",
      "names, owners, modes and sizes of the agent's and the owner's folders; no content",
      more.listing,
    ),
    ...(identity.state === "joined"
      ? [
          file("certificates.pem", "the agent's certificate chain: public, without its key", chainPem(identity.chain)),
          file(
            "trust.txt",
            "the trust statements in force, one a line: public, signed by the vendor",
            `${identity.statements.join("\n")}\n`,
          ),
        ]
      : [{ name: "certificates.pem", because: "this machine has not joined, or its identity cannot be read" }]),
  ];
}

function file(name: string, why: string, text: string): Kept {
  return { name, why, bytes: Buffer.from(text, "utf8") };
}

function optional(name: string, why: string, text: string | null, missing: string): Kept | Left {
  return text === null ? { name, because: missing } : file(name, why, text);
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function chainPem(chain: readonly string[]): string {
  return chain.map((der) => certificatePem(new Uint8Array(Buffer.from(der, "base64")))).join("");
}

/** Arguments and URLs are the customer's, and may hold what we do not know to be secret. */
function publicConfig(config: Config): object {
  const groups = Object.fromEntries(
    Object.entries(config.local.groups).map(([name, { command, health, ...group }]) => [
      name,
      {
        ...group,
        command: [command[0], `(${command.length - 1} arguments left out)`],
        health: health.probe === "http" ? { ...health, url: "(left out)" } : health,
      },
    ]),
  );
  return { ...config, local: { ...config.local, groups } };
}

function sifted(files: readonly (Kept | Left)[]): { kept: Kept[]; left: Left[] } {
  const kept: Kept[] = [];
  const left: Left[] = [];
  for (const one of files) {
    if (!("bytes" in one)) left.push(one);
    else if (SECRET_MARKS.some((mark) => Buffer.from(one.bytes).includes(mark)))
      left.push({ name: one.name, because: "it bears the mark of a private key or of a join token" });
    else kept.push(one);
  }
  return { kept, left };
}

function manifestText(facts: Facts, kept: readonly Kept[], left: readonly Left[]): string {
  const rows = kept.flatMap(({ name, bytes, why }) => [
    `${name}`,
    `  ${bytes.length} bytes, ${digestOf(bytes)}`,
    `  ${why}`,
  ]);
  const missing = left.map(({ name, because }) => `${name}: ${because}`);
  return [
    `Support archive of reeve ${facts.ran.version}, made ${timeText(facts.ran.at)} by \`reeve doctor --bundle\`.`,
    "It was written on this machine and sent nowhere. Look through it before you give it away: tar -xf FILE",
    "",
    "In it:",
    ...rows,
    "",
    "Left out:",
    ...missing,
    "",
    "Never in it: private keys, join tokens, TSIG secrets, the proxy's credentials, the environment, certificate requests, and",
    "what others said in their own words (details/). The journal is not in it either: journalctl -u reeve",
    "",
  ].join("\n");
}

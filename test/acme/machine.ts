/** A vendor and a customer's machine, both compiled, with an ACME authority behind a front that can strike. */
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTROL, type Ran, REEVE, running, type World, world, writePolicy } from "../e2e/world.ts";
import { type NameServer, TSIG_NAME, ZONE } from "../providers/bind.ts";
import type { Front } from "./front.ts";
import { AUTHORITY, requestFor } from "./stage.ts";

/** An entry of the log, as far as these tests look at it. */
export type Shown = {
  readonly kind: string;
  readonly index: number;
  readonly command?: string;
  readonly result?: string;
  readonly code?: string | null;
  readonly known_by?: string;
  readonly changed?: readonly { what: string; from: string | null; to: string | null }[];
  readonly operations?: readonly { operation: string; resource: string; status: string; changes: boolean }[];
  readonly certificate?: readonly string[] | null;
};

type Rule = { readonly made?: "in-cluster" | "by-vendor"; readonly rate?: string };
/** A rule for one name's certificates. */
const ruleOf = ({ made = "in-cluster", rate = "1000 per day" }: Rule): string => `  - id: public
    why: TLS that browsers trust.
    allow: issue-certificate
    authority: ${AUTHORITY}
    names: { exactly: [a.example.com] }
    key: { made: ${made}, type: [P-256] }
    usages: [server, client]
    validity: { min: 1h, max: 30d }
    rate: ${rate}
    when: always
    approval: none`;
const OTHER = `  - id: records
    why: Names.
    allow: update-dns
    zone: ${ZONE}
    changes: [create]
    names: { exactly: [www.${ZONE}] }
    types: [A]
    values: { within: [10.0.0.0/8] }
    ttl: { min: 30s, max: 1h }
    rate: 1 per hour
    when: always
    approval: none`;

export type AcmeMachine = {
  readonly world: World;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Sends a command for a new key's certificate, and does not wait. The request goes along where the rule is `by-vendor`. Returns its id. */
  ask(names?: readonly string[]): Promise<string>;
  entries(): Promise<readonly Shown[]>;
  of(command: string, kind: string): Promise<readonly Shown[]>;
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  decided(command: string): Promise<void>;
  /** Whether the rule for certificates stands in the policy. */
  rule(stands: boolean): void;
  reeve(...args: string[]): Promise<Ran>;
  end(): Promise<void>;
};

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;

export async function acmeMachine(
  front: Front,
  bind: NameServer,
  roots: string,
  rule: Rule = {},
): Promise<AcmeMachine> {
  const rules = ruleOf(rule);
  writeFileSync(roots, front.root);
  const zone = `{ server: "${front.dns}", tsig: { name: ${TSIG_NAME}, algorithm: hmac-sha256, secret_file: ${bind.secretFile} } }`;
  const provider = `provider: local
local: { groups: {}, authorities: {}, zones: { ${ZONE}: ${zone} } }
acme: { test: { directory: "${front.directory}", terms: agreed, root: ${roots}, validity: asked } }
`;
  const machine = await world({ rules, provider });
  let agent: ChildProcess | null = null;
  let [revision, requests] = [1, 0];
  const self: AcmeMachine = {
    world: machine,
    async start() {
      agent = machine.startAgent();
      await self.until("the agent is ready", async () => (await self.reeve("status", "--json")).code === 0);
    },
    async kill() {
      if (agent === null || agent.exitCode !== null || agent.signalCode !== null) return;
      const gone = new Promise((resolve) => agent?.once("exit", resolve));
      agent.kill("SIGKILL");
      await gone;
    },
    async ask(names = ["a.example.com"]) {
      const der = Buffer.from(await requestFor(names)).toString("base64");
      const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${der.replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE REQUEST-----\n`;
      const sends = rule.made === "by-vendor";
      const file = join(machine.folder, sends ? `sent${++requests}.csr` : `csr/a${++requests}.csr`);
      writeFileSync(file, csr, { mode: 0o644 });
      const who = ["--keys", machine.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-1"];
      const named = ["--csr-sha256", createHash("sha256").update(csr).digest("hex")];
      const what = ["--authority", AUTHORITY, ...(sends ? ["--csr", file] : named)];
      const flags = ["--usage", "server", "--usage", "client", "--validity", "30d"];
      const sent = await running(
        CONTROL,
        "send",
        "--dir",
        machine.data,
        ...who,
        "--json",
        "issue-certificate",
        ...what,
        ...flags,
      );
      const command = UUID.exec(sent.stdout)?.[0];
      if (command === undefined) throw new Error(`send: ${sent.stdout}${sent.stderr}`);
      return command;
    },
    async entries() {
      const shown = await self.reeve("audit", "show", "--json");
      if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
      const lines = shown.stdout.split("\n").filter((line) => line !== "");
      return lines.map((line) => JSON.parse(line) as Shown);
    },
    of: async (command, kind) =>
      (await self.entries()).filter((entry) => entry.command === command && entry.kind === kind),
    async until(what, holds) {
      const end = Date.now() + 120_000;
      while (!(await holds())) {
        if (Date.now() > end) throw new Error(`it never came to be: ${what}`);
        await Bun.sleep(50);
      }
    },
    decided: (command) =>
      self.until("the command is decided", async () =>
        (await self.entries()).some(
          ({ kind, command: of }) => of === command && (kind === "outcome" || kind === "refused"),
        ),
      ),
    rule: (stands) => writePolicy(machine, stands ? rules : OTHER, ++revision),
    reeve: (...args) => {
      const verbs = args.filter((arg) => !arg.startsWith("--"));
      return running(REEVE, ...verbs, "--config", machine.config, ...args.filter((arg) => arg.startsWith("--")));
    },
    async end() {
      await self.kill();
      await machine.end();
    },
  };
  return self;
}

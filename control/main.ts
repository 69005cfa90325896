import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { Asked, DnsArgs, Usage } from "../policy/asked.ts";
import { commandsText, fleetText, readCommands, readFleet } from "./fleet.ts";
import { cancel, readCommand, replay, type Sent, send } from "./send.ts";
import { serve } from "./serve.ts";
import { exitOf, resultOf, resultText } from "./show.ts";
import { initKey, openSigner, type Signer, type SignerOptions } from "./signer.ts";
import { openSqlite } from "./sqlite.ts";
import { clusterName, signFirstStatement } from "./statement.ts";
import { type CommandRow, OPEN_STATES, type Store } from "./store.ts";
import { Complaint, complaintText, printable, seconds } from "./terminal.ts";
import { makeToken } from "./token.ts";

const VERSION = "0.1.0";
const WAIT_MS = 200;

function program(): Command {
  const top = new Command("reeve-control")
    .description(
      "The reference control plane of reeve: joins agents, sends them signed commands, shows what became of them.",
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "error: Cannot read the command line: ")),
    })
    .addHelpText("after", EXITS);
  addServe(top);
  addKeys(top);
  addToken(top);
  addSend(top);
  addCancel(top);
  addFleet(top);
  for (const command of everyCommand(top)) command.exitOverride().copyInheritedSettings(top);
  return top;
}

const EXITS = `
Exit codes: 0 done or yes; 1 the answer is no; 2 usage; 3 state unreadable or invalid; 4 ownership or permission;
5 cannot listen or reach; 6 identity; 8 not known yet; 70 our own mistake.`;

function everyCommand(of: Command): Command[] {
  return of.commands.flatMap((command) => [command, ...everyCommand(command)]);
}

function addServe(top: Command): void {
  type Options = { dir: string; enrol: string; agents: string; trustDomain?: string; bind?: string };
  top
    .command("serve")
    .description(
      "Serve agents on two listeners: enrolment, and calls by agents that have a certificate. Prints one JSON line when listening.",
    )
    .requiredOption("--dir <folder>", "the control plane's folder: ca/ and state.db; made at the first start")
    .requiredOption("--enrol <host:port>", "the enrolment address as agents write it; port 0 takes a free one")
    .requiredOption("--agents <host:port>", "the agents' address as agents reach it; port 0 takes a free one")
    .option("--trust-domain <name>", "the vendor's trust domain, set at the first start (default vendor.example)")
    .option("--bind <address>", "bind this address instead of the hosts above")
    .action(async (options: Options) => {
      const { dir, enrol, agents } = options;
      const serving = await serve({ dir, enrol, agents, trustDomain: options.trustDomain, bind: options.bind });
      out(`${JSON.stringify(serving.ready)}\n`);
      await new Promise<void>((resolve) => {
        process.once("SIGTERM", resolve);
        process.once("SIGINT", resolve);
      });
      await serving.stop();
      process.exit(0);
    });
}

function withSigner(command: Command): Command {
  return command
    .option("--keys <folder>", "the folder of `keys init`")
    .option("--kid <name>", "which key of the folder, or the name of the signer's key")
    .option(
      "--signer <command>",
      "a program that signs: bytes on stdin, the Ed25519 signature (64 bytes, or base64) on stdout",
    )
    .option("--signer-key <file>", "the signer's public key: a JWK, or its x in base64url");
}

function needSigner(options: SignerOptions): Signer {
  const signer = openSigner(options);
  if (signer === null)
    throw new Complaint(
      2,
      "sign",
      "no command key is named",
      "Give --keys FOLDER, or --signer COMMAND with --signer-key FILE.",
    );
  return signer;
}

function addKeys(top: Command): void {
  const keys = top.command("keys").description("Command keys and trust statements. `serve` never reads a command key.");
  keys
    .command("init")
    .description("Make a command key; prints the RFC 7638 thumbprint for the config's trust_sha256.")
    .requiredOption("--keys <folder>", "a folder of its own, which `serve` cannot read")
    .option("--kid <name>", "the key's name", `cmd-${new Date().toISOString().slice(0, 7)}`)
    .option("--json", "print JSON")
    .action(async (options: { keys: string; kid: string; json?: boolean }) => {
      const made = await initKey(options.keys, options.kid);
      if (options.json) return out(`${JSON.stringify(made)}\n`);
      process.stderr.write(
        `${printable(`command key ${made.kid} in ${made.file}; its thumbprint, for control_plane.trust_sha256:`)}\n`,
      );
      out(`${made.thumbprint}\n`);
    });
  withSigner(
    keys
      .command("trust")
      .description("Sign and store a cluster's first trust statement.")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .requiredOption("--cluster <name>", "the cluster")
      .option("--json", "print JSON"),
  ).action(async (options: SignerOptions & { dir: string; cluster: string; json?: boolean }) => {
    const signer = needSigner(options);
    const cluster = clusterName(options.cluster);
    const signed = await withStore(options.dir, (store) =>
      store.transaction((sql) => signFirstStatement(sql, options.dir, cluster, signer)),
    );
    if (!signed)
      throw new Complaint(1, `sign the first statement of ${cluster}`, "it has one already", "Nothing is to be done.");
    out(
      options.json
        ? `${JSON.stringify({ cluster, version: 1, kid: signer.kid })}\n`
        : `trust statement 1 of ${cluster} is signed by ${signer.kid}\n`,
    );
  });
}

function addToken(top: Command): void {
  withSigner(
    top
      .command("token")
      .description("Make a join token: good for one enrolment. Only the token goes to stdout.")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .requiredOption("--cluster <name>", "the cluster that may join")
      .option("--ttl <duration>", "how long it is good, at most 24h", "1h")
      .option("--json", "print JSON"),
  ).action(async (options: SignerOptions & { dir: string; cluster: string; ttl: string; json?: boolean }) => {
    const made = await makeToken(
      options.dir,
      options.cluster,
      seconds(options.ttl, "make a token"),
      openSigner(options),
    );
    if (made.signedStatement) process.stderr.write(`signed trust statement 1 of ${made.claims.sub}\n`);
    const { sub, url, sha, exp } = made.claims;
    out(
      options.json
        ? `${JSON.stringify({ token: made.token, cluster: sub, url, root_sha256: sha, exp })}\n`
        : `${made.token}\n`,
    );
  });
}

type SendOptions = SignerOptions & {
  dir: string;
  cluster?: string;
  by?: string;
  why: string;
  expires: string;
  dryRun?: boolean;
  wait?: boolean;
  throughApproval?: boolean;
  timeout: string;
  json?: boolean;
  replay?: string;
};

function addSend(top: Command): void {
  const sending = withSigner(
    top
      .command("send")
      .description("Sign a command and queue it for a cluster's agent.")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .option("--cluster <name>", "the cluster")
      .option("--by <words>", "who asks (default: this user)")
      .option("--why <words>", "why: shown to the customer, never obeyed", "(no reason given)")
      .option("--expires <duration>", "how long it is good, at most 24h", "1h")
      .option("--dry-run", "ask what would be decided; nothing is changed")
      .option("--wait", "wait until it is decided or waits for people, and say what became of it")
      .option("--through-approval", "with --wait: go on waiting while people are asked")
      .option("--timeout <duration>", "how long to wait", "10m")
      .option("--json", "print JSON")
      .option("--replay <id>", "hand the same signed bytes of an earlier command out again"),
  );
  sending.action(async (options: SendOptions) => {
    if (options.replay === undefined)
      throw new Complaint(2, "send", "no action is named", "Name scale, issue-certificate or update-dns; see --help.");
    await sendReplay(options, options.replay);
  });
  sending
    .command("scale")
    .description("Set the number of machines of a group.")
    .requiredOption("--group <name>", "the group")
    .requiredOption("--count <number>", "how many machines", count)
    .action((own: { group: string; count: number }) =>
      sendAsked(sending.opts(), { action: "scale", args: { group: own.group, count: own.count } }),
    );
  sending
    .command("issue-certificate")
    .description("Have a certificate issued by one of the customer's authorities.")
    .requiredOption("--authority <name>", "the authority")
    .option("--csr <file>", "a certificate request, PEM or DER: whoever made it holds the private key")
    .option("--csr-sha256 <hex>", "SHA-256 of a request in the customer's CSR folder")
    .requiredOption("--usage <usage...>", "server, client")
    .requiredOption("--validity <duration>", "e.g. 30d")
    .action((own: CertificateOptions) => sendAsked(sending.opts(), certificateAsked(own)));
  sending
    .command("update-dns")
    .description("Change one DNS record set.")
    .requiredOption("--zone <name>", "the zone")
    .requiredOption("--name <name>", "the record's full name, lower case, without a trailing dot")
    .requiredOption("--type <type>", "A, AAAA, CNAME, TXT")
    .requiredOption("--change <change>", "create, replace, delete")
    .option("--value <value...>", "the values afterwards; none for delete")
    .option("--ttl <duration>", "e.g. 60s", "60s")
    .action((own: { zone: string; name: string; type: string; change: string; value?: string[]; ttl: string }) => {
      const { zone, name, type, change } = own;
      const args = { zone, name, type, change, values: own.value ?? [], ttl: seconds(own.ttl, "update DNS") };
      // What is no type or change is said by the command's schema, where all of it is checked.
      return sendAsked(sending.opts(), { action: "update-dns", args: args as DnsArgs });
    });
}

function count(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("a whole number, 0 or more.");
  return Number(text);
}

type CertificateOptions = { authority: string; csr?: string; csrSha256?: string; usage: string[]; validity: string };
function certificateAsked(own: CertificateOptions): Asked {
  return {
    action: "issue-certificate",
    args: {
      authority: own.authority,
      csr: own.csr === undefined ? undefined : readCsr(own.csr),
      csr_sha256: own.csrSha256,
      usages: own.usage as Usage[],
      validity: seconds(own.validity, "issue a certificate"),
    },
  };
}

function readCsr(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Complaint(
      4,
      "read the certificate request",
      `${file} cannot be read (${String((error as { code?: unknown }).code)})`,
      "Name a PEM or DER file.",
    );
  }
  const pem = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END/.exec(bytes.toString("latin1"));
  return pem === null ? bytes.toString("base64") : Buffer.from(pem[1] ?? "", "base64").toString("base64");
}

async function sendAsked(options: SendOptions, asked: Asked): Promise<void> {
  if (options.replay !== undefined)
    throw new Complaint(
      2,
      "send",
      "--replay sends an earlier command, and an action is named too",
      "Give one of them.",
    );
  if (options.cluster === undefined) throw new Complaint(2, "send", "no cluster is named", "Give --cluster NAME.");
  const wish = {
    dir: options.dir,
    cluster: options.cluster,
    asked,
    by: options.by ?? userInfo().username,
    why: options.why,
    lifetime: seconds(options.expires, "send"),
    dryRun: options.dryRun === true,
  };
  const timeout = seconds(options.timeout, "wait");
  const signer = needSigner(options);
  await withStore(options.dir, async (store) => {
    const sent: Sent = await send(store, wish, signer);
    if (sent.signedStatement) process.stderr.write(`signed trust statement 1 of ${wish.cluster}\n`);
    if (!options.wait)
      return out(
        options.json
          ? `${JSON.stringify({ command: sent.id, digest: sent.digest, epoch: sent.epoch, state: "queued" })}\n`
          : `${sent.id}\n`,
      );
    await waitFor(store, sent.id, timeout, options.json === true, (row) => {
      const goesOn = row.state === "waiting" ? options.throughApproval === true : OPEN_STATES.includes(row.state);
      return goesOn && !isOver(row) ? undefined : row.line;
    });
  });
}

async function sendReplay(options: SendOptions, id: string): Promise<void> {
  const timeout = seconds(options.timeout, "wait");
  await withStore(options.dir, async (store) => {
    const row = await replay(store, id);
    if (!options.wait)
      return out(
        options.json
          ? `${JSON.stringify({ command: row.id, digest: row.digest, epoch: row.epoch, replay: true })}\n`
          : `${row.id}\n`,
      );
    await waitFor(store, id, timeout, options.json === true, (now) => now.replay_line ?? undefined);
  });
}

/** Queued past its end: the server says so too as soon as the agent polls. */
function isOver(row: CommandRow): boolean {
  return row.state === "queued" && row.exp * 1000 <= Date.now();
}

/** Waits until `decided` gives the entry that decides (null: decided without one), then shows it; at the timeout shows what is known. */
async function waitFor(
  store: Store,
  id: string,
  timeout: number,
  json: boolean,
  decided: (row: CommandRow) => string | null | undefined,
): Promise<void> {
  const until = Date.now() + timeout * 1000;
  for (;;) {
    const row = await store.transaction((sql) => readCommand(sql, id));
    const line = decided(row);
    if (line !== undefined || Date.now() >= until) {
      const result = line === undefined ? { ...resultOf(row), entry: null } : resultOf(row, line);
      process.exitCode = line === undefined ? 8 : exitOf(result);
      if (json) return out(`${JSON.stringify(result)}\n`);
      const text = resultText(row, result);
      if (process.exitCode === 0) return out(text);
      process.stderr.write(text);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

function addCancel(top: Command): void {
  top
    .command("cancel")
    .description("Take a command back, unless its intent is on record.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .argument("<id>", "the command's id")
    .action(async (id: string, options: { dir: string; json?: boolean }) => {
      const state = await withStore(options.dir, (store) => cancel(store, id));
      const words =
        state === "cancelled"
          ? "cancelled: it had not been handed out"
          : "asked the agent to stop it, unless it has begun";
      out(options.json ? `${JSON.stringify({ command: id, state })}\n` : `${words}\n`);
    });
}

function addFleet(top: Command): void {
  const fleet = top
    .command("fleet")
    .description("Clusters with their state, epoch, last poll, open commands and alarms.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (options: { dir: string; json?: boolean }) => {
      const rows = await withStore(options.dir, (store) => store.transaction(readFleet));
      out(options.json ? `${JSON.stringify({ clusters: rows })}\n` : fleetText(rows));
    });
  fleet
    .command("commands")
    .description("A cluster's commands, newest first.")
    .requiredOption("--cluster <name>", "the cluster")
    .action(async (own: { cluster: string }) => {
      const options: { dir: string; json?: boolean } = fleet.opts();
      const cluster = clusterName(own.cluster);
      const rows = await withStore(options.dir, (store) => store.transaction((sql) => readCommands(sql, cluster)));
      out(options.json ? `${JSON.stringify({ commands: rows.map((row) => resultOf(row)) })}\n` : commandsText(rows));
    });
}

async function withStore<T>(dir: string, work: (store: Store) => Promise<T>): Promise<T> {
  const path = join(dir, "state.db");
  if (!existsSync(path))
    throw new Complaint(3, `use ${dir}`, "it holds no control plane yet", "Start `reeve-control serve` on it once.");
  const store = await openSqlite(path);
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

function out(text: string): void {
  process.stdout.write(text);
}

/** Says what went wrong and gives the exit code. A stack is for our own mistakes, and never shown here. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0)
      process.stderr.write("hint: `reeve-control help` names the commands; each takes --help.\n");
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof Complaint) {
    process.stderr.write(complaintText(error));
    return error.exit;
  }
  const code = String((error as { code?: unknown }).code ?? "");
  const words = printable(error instanceof Error ? error.message : String(error));
  if (/^(?:EACCES|EPERM|EROFS|ENOENT|ENOTDIR|EISDIR)$/.test(code)) {
    process.stderr.write(
      `error: Cannot go on: ${words}.\nhint: See who owns the folder, and that this user may read and write it.\n`,
    );
    return 4;
  }
  if (code.startsWith("SQLITE_")) {
    process.stderr.write(
      `error: Cannot use the state: ${words}.\nhint: See that DIR/state.db is whole, that its disk has room, and that this user may write it.\n`,
    );
    return 3;
  }
  process.stderr.write(`error: Cannot go on: ${words}.\nhint: This is a mistake of ours; please report it.\n`);
  return 70;
}

process.exitCode = 0;
try {
  await program().parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}

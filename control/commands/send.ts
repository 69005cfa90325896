import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import type { Asked, DnsArgs, Usage } from "../../policy/asked.ts";
import { replay, type Sent, send } from "../send.ts";
import type { SignerOptions } from "../signer.ts";
import { clusterName } from "../statement.ts";
import { OPEN_STATES } from "../store.ts";
import { Complaint, seconds } from "../terminal.ts";
import { onlySigner, signerFor, withSigner } from "./signing.ts";
import { out, withStore } from "./state.ts";
import { isOver, waitFor } from "./wait.ts";

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

export function addSend(top: Command): void {
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
  const only = onlySigner(options);
  await withStore(options.dir, async (store) => {
    const signer = only ?? (await signerFor(store, clusterName(wish.cluster), options));
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

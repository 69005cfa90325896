import { userInfo } from "node:os";
import type { Command } from "commander";
import type { Asked, DeployArgs } from "../../policy/asked.ts";
import { checkDeployable, deployedText, namedManifest } from "../manifest/deployed.ts";
import { replay, type Sent, send } from "../send.ts";
import type { SignerOptions } from "../signer.ts";
import { clusterName } from "../statement.ts";
import { OPEN_STATES } from "../store.ts";
import { Complaint, printable, seconds } from "../terminal.ts";
import { addActions } from "./action.ts";
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
      throw new Complaint(
        2,
        "send",
        "no action is named",
        "Name scale, issue-certificate, update-dns or deploy; see --help.",
      );
    await sendReplay(options, options.replay);
  });
  addActions(sending, (asked, own) => sendAsked(sending.opts(), asked, own));
}

async function sendAsked(options: SendOptions, asked: Asked, own: Record<string, unknown>): Promise<void> {
  if (options.replay !== undefined)
    throw new Complaint(
      2,
      "send",
      "--replay sends an earlier command, and an action is named too",
      "Give one of them.",
    );
  if (options.cluster === undefined) throw new Complaint(2, "send", "no cluster is named", "Give --cluster NAME.");
  if (asked.action === "deploy") checkManifest(asked.args, clusterName(options.cluster), String(own["manifest"]));
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

/** Of a digest alone nothing is known here: the agent judges what lies under it. */
function checkManifest({ group, manifest }: DeployArgs, cluster: string, named: string): void {
  const { file, digest } = namedManifest(named);
  if (file === null) return;
  if (digest !== manifest)
    throw new Complaint(1, "send", `${named} was changed meanwhile`, "Send it again when nobody writes to it.");
  checkDeployable(file, cluster, group);
  process.stderr.write(`${printable(deployedText(file))}\n`);
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

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { readManifestFile } from "../manifest/file.ts";
import { parseLanes } from "../rollout/lanes.ts";
import { MAX_FAILED, MAX_REFUSED, parseLimit } from "../rollout/limits.ts";
import { readImages } from "../rollout/order.ts";
import { summaryOf } from "../rollout/read.ts";
import { startRollout } from "../rollout/start.ts";
import { clusterName, trustDomainOf } from "../statement.ts";
import { Complaint, seconds } from "../terminal.ts";
import { signerName } from "./manifest.ts";
import { withOperator } from "./operator.ts";
import { driveAndWatch } from "./rolloutDrive.ts";
import { type KeyFlags, openKeys, withKeys } from "./rolloutKeys.ts";
import { out, withStore } from "./state.ts";

const CANNOT = "start the rollout";
type StartFlags = KeyFlags & {
  dir: string;
  lanes: string;
  as: string;
  clusters?: string;
  only?: string[];
  canary?: string[];
  soak: string;
  wait: string;
  maxFailed: string;
  maxRefused: string;
  images?: string;
  detach?: boolean;
  by: string;
  why: string;
  json?: boolean;
};

export function addStart(rollout: Command): void {
  withOperator(
    withKeys(
      rollout
        .command("start")
        .description("Start a rollout of a manifest's content, and drive it until it is over.")
        .argument("<manifest>", "a manifest: its content is rolled out, each cluster keeps its own parameters")
        .requiredOption("--dir <folder>", "the control plane's folder")
        .requiredOption(
          "--as <name>",
          "the release signer's name, as in the policy's signers: vendor.example/release-2026",
          signerName,
        )
        .option("--lanes <percentages>", "of all clusters, ascending, the last one 100", "10,25,50,100")
        .option("--clusters <file>", "only the clusters that this file names, one a line")
        .option("--only <names...>", "only these clusters")
        .option("--canary <names...>", "these clusters first")
        .option("--soak <duration>", "how long each cluster of a lane is to be well before the next lane", "10m")
        .option("--wait <duration>", "how long a lane waits for clusters that cannot act", "1h")
        .option("--max-failed <limit>", "stop when more failed, N or N%, in lanes beyond 10 %", MAX_FAILED)
        .option("--max-refused <limit>", "stop when more refuse, N or N%", MAX_REFUSED)
        .option(
          "--images <file>",
          "YAML: where each image lies, by place: aws/111122223333/eu-west-1: { broker: ami-… }",
        )
        .option("--detach", "only start it: `rollout run` drives it")
        .option("--json", "print JSON, one line for each change"),
    ),
  )
    .addHelpText(
      "after",
      "\nExit codes: 0 every cluster is well with it; 1 it stopped, was aborted, or a cluster failed; 8 it finished, and left some behind.",
    )
    .action(begin);
}

async function begin(path: string, options: StartFlags): Promise<void> {
  const file = readManifestFile(path);
  const keys = openKeys(options);
  const wish = {
    file,
    lanes: parseLanes(options.lanes),
    only: onlyThese(options),
    canaries: (options.canary ?? []).map(clusterName),
    soakMs: seconds(options.soak, CANNOT) * 1000,
    waitMs: seconds(options.wait, CANNOT) * 1000,
    maxFailed: parseLimit(options.maxFailed, "--max-failed"),
    maxRefused: parseLimit(options.maxRefused, "--max-refused"),
    images: options.images === undefined ? {} : readImages(options.images),
    signer: options.as,
    by: options.by,
    why: options.why,
  };
  await withStore(options.dir, async (store) => {
    const trustDomain = await store.read((sql) => trustDomainOf(sql, options.dir));
    const id = await startRollout(store, wish, keys.release);
    const summary = await store.read((sql) => summaryOf(sql, id));
    if (!options.json) out(`rollout ${id}: ${summary.clusters} clusters in ${summary.lanes.length} lanes\n`);
    else if (options.detach) out(`${JSON.stringify(summary)}\n`);
    if (options.detach) return;
    await driveAndWatch(store, { trustDomain, keys, id, json: options.json === true });
  });
}

function onlyThese(options: StartFlags): string[] | null {
  if (options.clusters !== undefined && options.only !== undefined)
    throw new Complaint(2, CANNOT, "both --clusters and --only are given", "Give one of them.");
  if (options.only !== undefined) return options.only.map(clusterName);
  if (options.clusters === undefined) return null;
  const names = readFileSync(options.clusters, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  if (names.length === 0) throw new Complaint(2, CANNOT, `${options.clusters} names no cluster`, "One name a line.");
  return names.map(clusterName);
}

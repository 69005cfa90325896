import { createHash } from "node:crypto";
import { type Command, InvalidArgumentError } from "commander";
import { MAX_CSR_NAMES, MAX_CSR_NAMES_BYTES } from "../../agent/limits.ts";
import { readCsr } from "../../agent/wire/csr.ts";
import type { Asked, Found } from "../../policy/asked.ts";
import { plan, type Question } from "../plan.ts";
import { exitOfPlan, planText, sumOf } from "../planText.ts";
import { checkAsked } from "../send.ts";
import { clusterName, trustDomainOf } from "../statement.ts";
import { readCluster, type Store } from "../store.ts";
import { Complaint } from "../terminal.ts";
import { addActions, count, csrOf, readRequest } from "./action.ts";
import { out, withStore } from "./state.ts";

type Own = { found?: number; foundRecord?: string[]; foundCsr?: string };

/** `fleet plan ACTION`: what each cluster's agent would say, without sending anything. */
export function addPlan(fleet: Command): void {
  const planning = fleet
    .command("plan")
    .description(
      "Say what each cluster would answer to a command, by the policies that customers share. Sends nothing.",
    )
    .option("--cluster <name>", "only this cluster; may be given again", collect)
    .addHelpText(
      "after",
      "\nExit codes: 0 all would allow; 1 any would refuse; 8 of some it is not known (not shared, not heard from, people are asked first).",
    )
    .action(() => {
      const hint = "Name scale, issue-certificate, update-dns or deploy; see --help.";
      throw new Complaint(2, "plan", "no action is named", hint);
    });
  const actions = addActions(planning, async (asked, own) => {
    const options: { dir: string; json?: boolean; cluster?: string[] } = { ...fleet.opts(), ...planning.opts() };
    await withStore(options.dir, (store) => answer(store, options, asked, own as Own));
  });
  actions.scale.option("--found <number>", "judge as if so many machines were found, in every cluster", count);
  actions.dns.option(
    "--found-record <value...>",
    "judge as if the record had these values; `none`: as if there were none",
  );
  actions.certificate.option("--found-csr <file>", "the request that --csr-sha256 names");
}

function collect(name: string, before: string[] | undefined): string[] {
  try {
    return [...(before ?? []), clusterName(name)];
  } catch {
    throw new InvalidArgumentError("a cluster's name: a-z 0-9 and -.");
  }
}

async function answer(
  store: Store,
  options: { readonly dir: string; readonly json?: boolean; readonly cluster?: readonly string[] },
  asked: Asked,
  own: Own,
): Promise<void> {
  checkAsked(asked);
  const found = await foundBy(asked, own);
  const clusters = options.cluster ?? null;
  const vendor = await store.read(async (sql) => {
    for (const cluster of clusters ?? [])
      if ((await readCluster(sql, cluster)) === null)
        throw new Complaint(1, `plan for ${cluster}`, "there is no such cluster", "See `reeve-control fleet`.");
    return trustDomainOf(sql, options.dir);
  });
  const planned = await plan(store, { asked, found, clusters, vendor, now: Date.now() });
  if (planned.length === 0)
    throw new Complaint(8, "plan", "there is no cluster yet", "Give a customer a token: `reeve-control token`.");
  process.exitCode = exitOfPlan(planned);
  out(options.json ? `${JSON.stringify({ asked, clusters: planned, sum: sumOf(planned) })}\n` : planText(planned));
}

/** What the operator says was found, or what the command brings along itself. */
async function foundBy(asked: Asked, own: Own): Promise<Question["found"]> {
  switch (asked.action) {
    case "scale":
      return own.found === undefined ? null : { action: "scale", count: own.found };
    case "update-dns": {
      if (own.foundRecord === undefined) return null;
      const none = own.foundRecord.length === 1 && own.foundRecord[0] === "none";
      return { action: "update-dns", record: none ? null : { values: own.foundRecord, ttl: asked.args.ttl } };
    }
    case "deploy":
      return null;
    case "issue-certificate": {
      if (asked.args.csr !== undefined) return requestFacts(Buffer.from(asked.args.csr, "base64"), "by-vendor");
      if (own.foundCsr === undefined) return null;
      const bytes = readRequest(own.foundCsr);
      if (createHash("sha256").update(bytes).digest("hex") !== asked.args.csr_sha256)
        throw new Complaint(2, "plan", `${own.foundCsr} has another SHA-256 than --csr-sha256`, "Name the very file.");
      return requestFacts(csrOf(bytes), "in-cluster");
    }
  }
}

type Made = Extract<Found, { action: "issue-certificate" }>["made"];
async function requestFacts(der: Uint8Array, made: Made): Promise<Found | "unreadable"> {
  const csr = await readCsr(der);
  if (csr === null) return "unreadable";
  const bytes = csr.sans.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  if (csr.sans.length > MAX_CSR_NAMES || bytes > MAX_CSR_NAMES_BYTES) return "unreadable";
  return { action: "issue-certificate", csr, made };
}

import type { Entry } from "../../agent/audit/entry.ts";
import { timeOf } from "../../agent/audit/time.ts";
import type { Manifest } from "../../agent/wire/manifest.ts";
import { manifestOf } from "../manifest/inventory.ts";
import type { Peer } from "../peer.ts";
import { claimsOf } from "../show.ts";
import { type CommandRow, nowSeconds, type Sql } from "../store.ts";
import { addRevision, newestRevision } from "./read.ts";
import { type Asked, changedGroups, type Groups, NO_GROUPS, runs } from "./state.ts";

/** Of an outcome, on the line: its entry has all. */
const MAX_CHANGES = 16;
type Intent = Extract<Entry, { kind: "intent" }>;
type Outcome = Extract<Entry, { kind: "outcome" }>;

/**
 * Any change is a deployment: an outcome that changed something, or of which nobody can tell, is the cluster's next revision; so is one that
 * changed something and took it back. In the same
 * transaction in which the entry is taken. The time is the entry's, but never later than now: a clock ahead does not hide what comes next.
 */
export async function reviseByOutcome(sql: Sql, peer: Peer, intent: Intent, outcome: Outcome): Promise<void> {
  if (!touched(outcome)) return;
  const sent = await commandSent(sql, peer, intent);
  if (sent === null) return;
  const before = await newestRevision(sql, peer.cluster);
  const manifest = outcome.result === "succeeded" ? await manifestAsked(sql, peer, sent) : null;
  const groups = groupsAfter(before?.groups ?? NO_GROUPS, sent, outcome, manifest?.manifest ?? null);
  const arrived = manifest !== null && runs(groups, manifest.manifest);
  await addRevision(sql, {
    cluster: peer.cluster,
    at: Math.min(Math.floor((timeOf(outcome.time) ?? 0) / 1000), nowSeconds()),
    digest: arrived ? manifest.digest : (before?.digest ?? null),
    said_by: sent.by,
    why: sent.why,
    action: sent.action,
    result: outcome.result,
    asked: sent.asked,
    changed: outcome.changed.slice(0, MAX_CHANGES),
    groups,
    command: outcome.command,
    epoch: peer.epoch,
    entry: outcome.index,
  });
}

type Sent = { readonly by: string; readonly why: string; readonly action: string; readonly asked: Asked };

/** The command as it was signed here, not as the agent says it: null when none such was sent, or its outcome is on the line already. */
async function commandSent(sql: Sql, peer: Peer, intent: Intent): Promise<Sent | null> {
  const [row] = await sql.rows<Pick<CommandRow, "jws">>(
    "select jws from commands where id = $1 and cluster = $2 and epoch = $3 and digest = $4",
    intent.command,
    peer.cluster,
    peer.epoch,
    intent.digest,
  );
  if (row === undefined) return null;
  const text = "select position from revisions where cluster = $1 and command = $2";
  if ((await sql.rows(text, peer.cluster, intent.command)).length > 0) return null;
  const { by, why, action, args } = claimsOf(row);
  // A certificate request is long, and its digest is in the entry.
  const asked = Object.entries(args).filter(([name, value]) => name !== "csr" && value !== undefined);
  return { by, why, action, asked: Object.fromEntries(asked) as Asked };
}

/** What failed and is as it was before may have been away for a while: machines that were replaced, and replaced back. */
function touched({ result, changed, operations }: Outcome): boolean {
  if (changed.length > 0 || result === "unknown") return true;
  return result === "failed" && operations.some(({ changes, status }) => changes && status === "ok");
}

/** The manifest that a command deployed, when it is kept here and is this cluster's own. */
async function manifestAsked(
  sql: Sql,
  peer: Peer,
  sent: Sent,
): Promise<{ readonly manifest: Manifest; readonly digest: string } | null> {
  const { manifest: digest } = sent.asked;
  if (typeof digest !== "string") return null;
  const read = await manifestOf(sql, digest);
  return read?.manifest.parameters.cluster === peer.cluster ? read : null;
}

/** What did not succeed left what its changes say, as far as they say it: a group's count or image. */
function groupsAfter(groups: Groups, sent: Sent, outcome: Outcome, manifest: Manifest | null): Groups {
  const { asked, action } = sent;
  const { group } = asked;
  if (typeof group !== "string") return groups;
  if (outcome.result === "succeeded") {
    const named = manifest?.parameters.groups[group]?.image;
    const image = named === undefined ? null : (manifest?.parameters.images[named] ?? null);
    return changedGroups(groups, action, asked, image);
  }
  if (outcome.changed.length === 0 && outcome.result === "failed") return groups;
  const left = outcome.changed[0]?.to ?? null;
  const before = groups[group] ?? { image: null, count: null };
  if (action === "scale") return { ...groups, [group]: { ...before, count: countOf(left) } };
  return action === "deploy" ? { ...groups, [group]: { ...before, image: left } } : groups;
}

function countOf(text: string | null): number | null {
  return text !== null && /^\d{1,7}$/.test(text) ? Number(text) : null;
}

import { createHash } from "node:crypto";
import type { DnsArgs } from "../../policy/asked.ts";
import { unseenBecause } from "../outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  Halted,
  type RecordState,
} from "../provider.ts";
import { CHALLENGE_TTL_SECONDS, MAX_RECORD_TRIES } from "./limits.ts";
import type { ChallengeRecord } from "./note.ts";

/** The cloud's own DNS, and the zone that the authority's name says. Every call is that action's own, through the command's gate. */
export type Proving = {
  readonly dns: ActionProvider<DnsArgs, RecordState>;
  readonly gate: Gate;
  readonly errand: Errand;
  readonly zone: string;
};

/** RFC 8555 section 8.4: what the TXT record of a challenge holds. */
export function proofOf(token: string, thumbprint: string): string {
  return createHash("sha256").update(`${token}.${thumbprint}`).digest("base64url");
}

/** Arguments for the record set at `name`; those of a reading where nothing is to become of it. */
export function argsOf(zone: string, name: string, more: Partial<DnsArgs> = {}): DnsArgs {
  return { zone, name, type: "TXT", change: "create", values: [], ttl: CHALLENGE_TTL_SECONDS, ...more };
}

async function recordAt({ dns, gate, errand, zone }: Proving, name: string): Promise<RecordState["record"]> {
  const seen = await dns.describe(gate, argsOf(zone, name), errand);
  if ("state" in seen) return seen.state.record;
  throw new CallFailed("challenge-zone", unseenBecause(seen), "none");
}

/** Whether the value stands in the zone. */
export async function stands(proving: Proving, { name, value }: ChallengeRecord): Promise<boolean> {
  return (await recordAt(proving, name))?.values.includes(value) ?? false;
}

/** Puts the value beside whatever stands there, and waits until the zone has it. Throws CallFailed and Halted. */
export function put(proving: Proving, { name, value }: ChallengeRecord): Promise<void> {
  return changed(proving, name, (record) => {
    if (record === null) return { change: "create", values: [value] };
    if (record.values.includes(value)) return null;
    return { change: "replace", values: [...record.values, value], ttl: record.ttl };
  });
}

/** Takes the value away, and leaves what others have put beside it. */
export function takeAway(proving: Proving, { name, value }: ChallengeRecord): Promise<void> {
  return changed(proving, name, (record) => {
    if (record === null || !record.values.includes(value)) return null;
    const values = record.values.filter((each) => each !== value);
    return { change: values.length === 0 ? "delete" : "replace", values, ttl: record.ttl };
  });
}

/** Null: it is so already. The change is the zone's own compare-and-set; one that lost against somebody else's is tried again. */
async function changed(
  proving: Proving,
  name: string,
  how: (record: RecordState["record"]) => Partial<DnsArgs> | null,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const record = await recordAt(proving, name);
    const wanted = how(record);
    if (wanted === null) return;
    const { dns, gate, errand, zone } = proving;
    const done = await dns.execute(gate, argsOf(zone, name, wanted), { record }, errand);
    if (done.result === "succeeded") return;
    if (done.code !== "concurrent" || attempt === MAX_RECORD_TRIES) throw stopped(done);
  }
}

function stopped({ result, code, words }: Executed): CallFailed | Halted {
  if (code === "suspended" || code === "deadline" || code === "stopped") return new Halted(code);
  return new CallFailed(`dns-${code ?? "failed"}`, words ?? "", result === "unknown" ? "unknown" : "none");
}

import { acmeAuthority, challengeName } from "../../policy/acme.ts";
import type { DnsArgs } from "../../policy/asked.ts";
import type { Rule } from "../../policy/policy.ts";
import { makeGate } from "../gate.ts";
import { unseenBecause } from "../outcome.ts";
import { type ActionProvider, CallFailed, type ReachedPart, type RecordState } from "../provider.ts";
import { findAccount, keyPath } from "./account.ts";
import { readAccountKey } from "./accountKey.ts";
import { type AcmeContext, acmeCalls } from "./call.ts";
import { argsOf } from "./challenge.ts";
import { placesOf } from "./link.ts";
import { ACME_OPERATIONS } from "./operations.ts";
import { issuersOf } from "./roots.ts";

type Dns = ActionProvider<DnsArgs, RecordState>;

/** In place of a command's id. */
const DOCTOR = "doctor";

/**
 * What `probe` says of one authority: its directory and account, the roots of the config, and for each rule that names it whether the zone of its
 * challenges can be read. It reads only, and makes no account.
 */
export async function reached(
  name: string,
  context: AcmeContext | null,
  dns: Dns,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReachedPart[]> {
  if (context === null) throw new Error("an authority of the config is not in it");
  const what = `acme ${name}`;
  const { acme, setting } = context;
  const gate = makeGate({
    table: ACME_OPERATIONS,
    places: placesOf(acme),
    resource: what,
    phase: "read",
    beforeChange: () => undefined,
    now: () => setting.host.clock.monotonic(),
    record: () => undefined,
  });
  const calls = () => acmeCalls(context, gate, { id: DOCTOR, signal }, what);
  return Promise.all([
    look(`${what} ${acme.directory}`, async () => {
      await calls().directory();
      const roots = issuersOf(context);
      return `it answers${roots === null ? "" : `; chains are held to ${roots.length} roots`}`;
    }),
    look(`${what} account`, async () => {
      const key = await readAccountKey(setting.host.disk, setting.uid, keyPath(context));
      if (key === null) return "there is none yet: key and account are made with the first certificate";
      return `it is ${await findAccount(context, calls(), key)}`;
    }),
    ...rules.flatMap((rule) => zoneOf(rule, name, context, dns, signal)),
  ]);
}

async function look(what: string, how: () => Promise<string>): Promise<ReachedPart> {
  try {
    return { what, ok: true, because: await how(), hint: "" };
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return { what, ok: false, because: `${error.status}: ${error.words}`.slice(0, 512), hint: hintOf(error.status) };
  }
}

function hintOf(status: string): string {
  if (status === "account-missing")
    return "The key in the config is no account's there: remove its file, and one is made with the next certificate.";
  if (status === "account-key") return "Give the file of the account's key to the agent's user, 0600.";
  if (status === "tls" || status === "roots")
    return "Name in `root` the PEM of the roots that the directory's certificate leads to.";
  if (status === "challenge-zone")
    return "Compare the zone in the rule's authority with the config's zones, and the role's rights in DNS.";
  return "docs/PROVIDERS.md says what each code means.";
}

/** Whether the challenge's record can be read: of the first name that the rule lists, or of the name that its names lie below. */
function zoneOf(
  rule: Rule,
  name: string,
  { setting }: AcmeContext,
  dns: Dns,
  signal: AbortSignal,
): Promise<ReachedPart>[] {
  const authority = rule.allow === "issue-certificate" ? acmeAuthority(rule.authority) : null;
  if (authority?.name !== name || rule.allow !== "issue-certificate") return [];
  const { zone } = authority;
  const named = "below" in rule.names ? rule.names.below : (rule.names.exactly[0] ?? "");
  const record = challengeName(named);
  if (record === null) return [];
  const resource = `${zone}/${record}`;
  const args = argsOf(zone, record);
  const gate = makeGate({
    table: dns.operations,
    places: dns.places(args),
    resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => setting.host.clock.monotonic(),
    record: () => undefined,
  });
  return [
    look(`rule ${rule.id} zone ${zone}`, async () => {
      const seen = await dns.describe(gate, args, { id: DOCTOR, signal });
      if ("state" in seen) return `${record} can be read`;
      throw new CallFailed("challenge-zone", unseenBecause(seen), "none");
    }),
  ];
}

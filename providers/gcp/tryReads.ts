import type { Rule } from "../../policy/policy.ts";
import { makeGate } from "../gate.ts";
import { CallFailed, type Errand, type Gate } from "../provider.ts";
import { readPool } from "./authority.ts";
import { type GcpContext, gcpCalls } from "./call.ts";
import { gcpDns } from "./dns.ts";
import { placesOf } from "./endpoints.ts";
import { groupService } from "./group.ts";
import { groupName, poolName } from "./names.ts";
import { CERTIFICATE_OPERATIONS, DNS_OPERATIONS, SCALE_OPERATIONS } from "./operations.ts";
import type { Own } from "./own.ts";

/** In place of a command's id in the user agent. */
const DOCTOR = "doctor";

/** Reads what a rule names as a command of it would, through a gate that lets nothing be changed. Throws CallFailed. */
export function tryReads(context: GcpContext, own: Own, rule: Rule, signal: AbortSignal): Promise<string> {
  const errand: Errand = { id: DOCTOR, signal };
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return readGroup(context, own, rule.group, errand);
    case "issue-certificate":
      return readAuthority(context, rule.authority, errand);
    case "update-dns":
      return readZone(context, rule, errand);
  }
}

type Table = Parameters<typeof makeGate>[0]["table"];
function gateOf({ host }: GcpContext, table: Table, places: ReturnType<typeof placesOf>, resource: string): Gate {
  return makeGate({
    table,
    places,
    resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => host.clock.monotonic(),
    record: () => undefined,
  });
}
function missing(what: string): CallFailed {
  return new CallFailed("missing", `there is no ${what}`, "none");
}

async function readGroup(context: GcpContext, own: Own, group: string, errand: Errand): Promise<string> {
  const { gcp } = context;
  const name = groupName(gcp.region, group);
  if (name === null) throw missing(`group ${group} in ${gcp.region}`);
  const gate = gateOf(context, SCALE_OPERATIONS, placesOf(gcp, "compute", name.where, ["GET", "POST"]), group);
  const calls = gcpCalls(context, gate, errand, group);
  const service = groupService({ context, calls, group: name });
  const found = await service.read();
  if (found === null) throw missing(`group ${group} in ${gcp.project}`);
  const [instances, machine] = [await service.instances(), await own.instance()];
  if (instances.some(({ path }) => path === machine.path))
    throw new CallFailed("own-group", "the agent itself runs in this group", "none");
  if (found.autoscaler !== null) await service.autoscaler(found.autoscaler);
  await service.begun(errand.id);
  return `its size is ${found.target}`;
}

async function readAuthority(context: GcpContext, authority: string, errand: Errand): Promise<string> {
  const { gcp } = context;
  if (poolName(gcp, authority) === null) throw missing(`CA pool ${authority} in ${gcp.project}, ${gcp.region}`);
  const gate = gateOf(
    context,
    CERTIFICATE_OPERATIONS,
    placesOf(gcp, "privateca", gcp.region, ["GET", "POST"]),
    authority,
  );
  const calls = gcpCalls(context, gate, errand, authority);
  const pool = await readPool({ context, calls, authority });
  return `its authorities are ${pool.subject}`;
}

async function readZone(
  context: GcpContext,
  { zone, names, types }: Extract<Rule, { allow: "update-dns" }>,
  errand: Errand,
): Promise<string> {
  // A name that the rule permits: what lies there is read and not shown.
  const name = "below" in names ? `reeve-doctor.${names.below}` : (names.exactly[0] ?? "");
  const [type = "A"] = types;
  const gate = gateOf(
    context,
    DNS_OPERATIONS,
    placesOf(context.gcp, "dns", "global", ["GET", "POST"]),
    `${zone}/${name}`,
  );
  const args = { zone, name, type, change: "delete", values: [], ttl: 0 } as const;
  const seen = await gcpDns(context).describe(gate, args, errand);
  if ("missing" in seen) throw new CallFailed("missing", seen.missing, "none");
  return "it holds the rule's names, and its records can be read";
}

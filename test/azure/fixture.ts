import type { DnsArgs, DnsChange, DnsType } from "../../policy/asked.ts";
import type { Executed, JudgedCertificateArgs, Provider, Reconciled } from "../../providers/provider.ts";
import { makeRequest } from "../aws/world/requests.ts";
import { act, type Command, errand, recall, see } from "../providers/world.ts";
import { account, type settingOf } from "./account.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

type Ended = () => Promise<void> | void;
const ends: Ended[] = [];

/** A world and the provider on it, until `endAll`. What was not as Azure describes it fails the test. */
export async function begin(
  options: WorldOptions = {},
  config: (world: World) => Record<string, unknown> = () => ({}),
  setting: Parameters<typeof settingOf>[0] = {},
) {
  const world = await startWorld(options);
  const made = await account(world, config(world), setting);
  ends.push(async () => {
    await world.stop();
    made.end();
    if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
  });
  return { world, ...made };
}
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0)) await end();
}

export type Acted = Executed & { readonly operations: readonly { operation: string; status: string }[] };

export function scaling(
  provider: Provider,
  count: number,
  group = "brokers",
): Command<{ group: string; count: number }, { count: number }> {
  return { action: provider.scale, args: { group, count }, resource: group };
}

/** Scales with a deadline, from what is described or from `found`. */
export function scale(provider: Provider, count: number, found?: number, deadlineMs = 60_000): Promise<Acted> {
  const own = errand(AbortSignal.timeout(deadlineMs));
  return act(scaling(provider, count), {}, own, found === undefined ? undefined : { count: found });
}

export function recordArgs(
  world: World,
  change: DnsChange,
  values: readonly string[],
  more: Partial<DnsArgs> = {},
): DnsArgs {
  const zone = world.zone.name;
  return { zone, name: `www.${zone}`, type: "A" as DnsType, change, values, ttl: 60, ...more };
}
export function recording(provider: Provider, args: DnsArgs) {
  return { action: provider["update-dns"], args, resource: `${args.zone}/${args.name}` };
}

export function certificateArgs(world: World, more: Partial<JudgedCertificateArgs> = {}): JudgedCertificateArgs {
  const { csr } = makeRequest(["a.example.com"]);
  const csrDer = new Uint8Array(Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ""), "base64"));
  return {
    ...{ authority: world.vault.authority, usages: ["server"], validity: 3600 },
    ...{ csrDer, names: ["a.example.com"], deliver: null, ...more },
  };
}
export function issuing(provider: Provider, args: JudgedCertificateArgs) {
  return { action: provider["issue-certificate"], args, resource: args.authority };
}

export async function caught(
  promise: Promise<unknown>,
): Promise<{ readonly status?: string; readonly words?: string }> {
  return promise.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (error: object) => error,
  );
}

export { act, errand, type Reconciled, recall, see };

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readFleet } from "../../control/fleet.ts";
import { openStore } from "../../control/openStore.ts";
import type { Store } from "../../control/store.ts";
import { workload } from "../demo/fleetCustomers.ts";
import { configText, GROUP, policyText, SIGNER } from "../demo/fleetFiles.ts";
import { type Image, imageOf, imageRunBy, manifestOf } from "../demo/fleetImages.ts";
import { CONTROL } from "../e2e/world.ts";
import { type Customer, type CustomerFiles, type Fleet, fleetOf, type Wiring } from "./fleet.ts";
import type { Engine } from "./plane.ts";
import { must, until } from "./processes.ts";

/** A fleet in which every cluster runs one release, and in which another one lies ready: programs of the customers' artifacts. */
export const MACHINES = 2;
export type Released = { readonly fleet: Fleet; readonly store: Store; readonly release: Image };
type Images = { readonly before: Image; readonly release: Image; readonly signer: string };

/** Every agent is ready, every group runs `before`, and the control plane knows a manifest of each. */
export async function releasedTo(engine: Engine, clusters: readonly string[]): Promise<Released> {
  const [one = ""] = clusters;
  let made: Promise<Images> | null = null;
  const fleet = await fleetOf(engine, clusters, async (at, keys): Promise<CustomerFiles> => {
    made ??= first(at, keys);
    const { before, signer } = await made;
    return { config: config(at, before), policy: policyText(at.cluster, signer) };
  });
  let store: Store | null = null;
  try {
    const { before, release } = await (made ?? never());
    for (const { cluster } of fleet.customers) {
      const file = await manifest(fleet, before, cluster, one);
      await must(CONTROL, "manifest", "import", file, "--dir", fleet.plane.dir, "--why", "first release");
    }
    await manifest(fleet, release, one, one);
    const state = await openStore(fleet.plane.dir);
    store = state;
    for (const customer of fleet.customers) fleet.startAgent(customer);
    await until("every agent polls", async () =>
      (await state.read(readFleet)).every(({ last_seen, entries }) => last_seen !== null && entries > 0),
    );
    for (const customer of fleet.customers) await scaledUp(fleet, customer);
    await until("every group runs", async () => {
      const open = (await state.read(readFleet)).some(({ open_commands }) => open_commands > 0);
      return !open && fleet.customers.every((customer) => imagesOf(fleet, customer).length === MACHINES);
    });
    return { fleet, store: state, release };
  } catch (error) {
    store?.close();
    await fleet.end();
    throw error;
  }
}

function never(): never {
  throw new Error("no customer");
}

async function first({ folder }: Wiring, keys: string): Promise<Images> {
  mkdirSync(join(folder, "artifacts"), { mode: 0o755 });
  const signer = await must(CONTROL, "manifest", "signer", "--as", SIGNER, "--keys", keys);
  return {
    before: imageOf(folder, "/bin/sleep", "1.0.0", "3.0.11"),
    release: imageOf(folder, "/bin/sleep", "1.1.0", "3.0.15"),
    signer: signer.trim(),
  };
}

function config(at: Wiring, { program }: Image): string {
  const { folder: scratch, cluster, trust, root } = at;
  return configText({
    scratch,
    cluster,
    uid: process.getuid?.() ?? 0,
    enrol: `https://${at.enrol}`,
    trust,
    root,
    program,
  });
}

async function manifest(fleet: Fleet, of: Image, cluster: string, from: string): Promise<string> {
  const { file, words } = manifestOf(fleet.folder, fleet.keys, of, cluster, from);
  await must(CONTROL, "manifest", ...words);
  return file;
}

async function scaledUp({ plane, keys }: Fleet, { cluster }: Customer): Promise<void> {
  const send = ["send", "--dir", plane.dir, "--keys", keys, "--cluster", cluster];
  await must(CONTROL, ...send, "scale", "--group", GROUP, "--count", String(MACHINES));
}

/** What each process of a customer's group runs. They are the children of its agent, which nobody killed. */
export function imagesOf(fleet: Fleet, customer: Customer): (string | null)[] {
  return workload(fleet.folder)
    .filter((pid) => parentOf(pid) === customer.agent?.pid)
    .map(imageRunBy);
}

function parentOf(pid: number): number {
  try {
    // proc(5): the fourth field, and the second, in brackets, may hold anything.
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1]);
  } catch {
    // It has just ended.
    return 0;
  }
}

/** Starts a rollout of the release, which others drive; its number. */
export async function rolloutStarted({ fleet, release }: Released, lanes: string, soak: string): Promise<number> {
  const file = `${fleet.folder}/${fleet.customers[0]?.cluster}-${release.version}.manifest`;
  const how = ["--lanes", lanes, "--soak", soak, "--why", "CVE in libssl", "--detach", "--json"];
  const said = await must(
    CONTROL,
    "rollout",
    "start",
    file,
    "--dir",
    fleet.plane.dir,
    "--keys",
    fleet.keys,
    "--as",
    SIGNER,
    ...how,
  );
  return (JSON.parse(said) as { rollout: number }).rollout;
}

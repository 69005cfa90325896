/** A vendor and a customer on a platform, both compiled, and whoever asks the vendor to enrol. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Proof } from "../../agent/wire/proof.ts";
import { type Answer, type Key, makeKey } from "../control/client.ts";
import { CONTROL, type Machine, type Ran, REEVE, running, type World, type WorldOptions, world } from "../e2e/world.ts";
import { ask, type Bind, bindingOf, type Caller, callerOf, nonceOf } from "./attacker.ts";
import { ended } from "./ran.ts";

/** The proof for a binding. */
export type Prove = (binding: Uint8Array) => Promise<Proof> | Proof;
/** `bind`: what the proof binds otherwise; `other`: another nonce of ours that it binds; `named`: the nonce that is named, and bound. */
type How = {
  readonly token?: string;
  readonly key?: Key;
  readonly bind?: Bind;
  readonly other?: string;
  readonly named?: string;
};
type Status = { readonly state: string; readonly reason: string; readonly epoch: number | null };
export type Customer = {
  readonly vendor: World;
  readonly caller: Caller;
  readonly folder: string;
  /** `reeve-control`, without blocking: this process serves the platform. */
  control(...args: string[]): Promise<Ran>;
  admit(...flags: string[]): Promise<void>;
  /** Enrolments without a human that are used up. */
  used(): Promise<number>;
  newToken(): Promise<string>;
  /** As an agent asks; null: without a proof. */
  enrol(prove: Prove | null, how?: How): Promise<Answer>;
  status(machine: Machine): Promise<Status>;
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  end(): Promise<void>;
};

/** Kills an agent, and waits until it is gone. */
export async function killed(agent: ChildProcess): Promise<void> {
  agent.kill("SIGKILL");
  await ended(agent);
}

/** A machine of the group takes the place of the one that acts: its token is gone, and what its platform shows is enough. */
export async function replaced(one: Customer): Promise<void> {
  const next = one.vendor.newMachine("next", "");
  rmSync(next.token);
  next.startAgent();
  await one.until("the second is ready", async () => (await one.status(next)).epoch === 2);
  await one.until("the first is fenced", async () => (await one.status(one.vendor)).state === "fenced");
}

/** `proofs`: the text of the file of `serve --proofs`; `folder` is there for what it names. */
export async function customer(options: WorldOptions, proofs: (folder: string) => string): Promise<Customer> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-platform-"));
  const file = join(folder, "proofs.yaml");
  writeFileSync(file, proofs(folder));
  const vendor = await world({ ...options, serveFlags: ["--proofs", file], rootPinned: true });
  const caller = callerOf(vendor.ports.enrol, vendor.root);
  const done = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await self.control(...args);
    if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  const self: Customer = {
    ...{ vendor, caller, folder },
    control: (...args) => running(CONTROL, ...args, "--dir", vendor.data),
    async admit(...flags) {
      await done("admit", "prod-eu-1", ...flags);
    },
    async used() {
      const shown = JSON.parse(await done("admit", "show", "prod-eu-1", "--json")) as {
        admissions: { used: number }[];
      };
      return shown.admissions[0]?.used ?? Number.NaN;
    },
    newToken: () => done("token", "--cluster", "prod-eu-1"),
    async enrol(prove, { token, key, bind, other, named } = {}) {
      const asking = key ?? (await makeKey());
      if (prove === null) return ask(caller, { token: token ?? null, key: asking });
      const nonce = named ?? (await nonceOf(caller));
      const proof = await prove(bindingOf(caller, other ?? nonce, asking, bind));
      return ask(caller, { token: token ?? null, proof, nonce, key: asking });
    },
    async status(machine) {
      const { stdout } = await running(REEVE, "status", "--config", machine.config, "--json");
      return stdout.startsWith("{") ? (JSON.parse(stdout) as Status) : { state: "", reason: "", epoch: null };
    },
    async until(what, holds) {
      const end = performance.now() + 180_000;
      while (!(await holds())) {
        if (performance.now() > end) throw new Error(`it never came to be: ${what}`);
        await Bun.sleep(100);
      }
    },
    async end() {
      await vendor.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return self;
}

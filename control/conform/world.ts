import { createHash, randomBytes } from "node:crypto";
import { certificatePem } from "../../agent/wire/x509.ts";
import { type Case, must, Unmet, Unseen } from "./case.ts";
import type { Driver } from "./driver.ts";
import { dial, hangUp, type Line, Silent, shownChain } from "./line.ts";
import { type RealAgent, startAgent } from "./realAgent.ts";
import { type Speaker, speakerOf, trustDomainOf } from "./speaker.ts";

/** The control plane that is looked at, and what a case may use. Each case takes clusters of its own. */
export type World = {
  /** Its enrolment address, as join tokens and configs write it. */
  readonly url: string;
  readonly driver: Driver;
  /** A name that no cluster has had. */
  newCluster(): string;
  root(): Promise<Root>;
  /** A new connection to the enrolment listener, which trusts the shown root alone. */
  enrolment(): Promise<Line>;
  /** An agent that has enrolled, and of whose log nothing was handed in. */
  enrolled(cluster?: string): Promise<Speaker>;
  /** The same, whose entry 0 was handed in. */
  begun(cluster?: string): Promise<Speaker>;
  /** One real agent for all cases that ask for it. */
  agent(): Promise<RealAgent>;
  /** A real agent of its own. */
  newAgent(cluster: string): Promise<RealAgent>;
  /** Ends every process and connection that was begun. */
  end(): Promise<void>;
};
export type Root = { readonly pem: string; readonly sha256: string; readonly der: Uint8Array };

export function openWorld(at: { readonly url: string; readonly driver: Driver; readonly program: string }): World {
  const run = randomBytes(4).toString("hex");
  const agents: RealAgent[] = [];
  let clusters = 0;
  let over = false;
  let root: Promise<Root> | null = null;
  let shared: Promise<RealAgent> | null = null;
  const world: World = {
    url: at.url,
    driver: at.driver,
    newCluster: () => `conform-${run}-${++clusters}`,
    root() {
      root ??= readRoot(at.url);
      return root;
    },
    enrolment: async () => dial(at.url, { roots: [(await world.root()).pem] }),
    enrolled: (cluster = world.newCluster()) => speakerOf(world, cluster),
    async begun(cluster) {
      const speaker = await world.enrolled(cluster);
      const line = await speaker.line();
      await speaker.handIn(line);
      return speaker;
    },
    agent() {
      shared ??= world.newAgent(world.newCluster());
      return shared;
    },
    async newAgent(cluster) {
      const token = await at.driver.token(cluster, 3600);
      const line = await world.enrolment();
      const trustDomain = await trustDomainOf(line);
      line.close();
      const pin = await at.driver.pin();
      // Told to end meanwhile, nothing is begun that nobody would end.
      if (over) throw new Unseen("this is over");
      const agent = startAgent({ program: at.program, url: at.url, cluster, token, pin, trustDomain });
      agents.push(agent);
      await agent.until("it joins", () => agent.entries().some((entry) => entry["kind"] === "started"));
      return agent;
    },
    async end() {
      over = true;
      hangUp();
      await Promise.all(agents.map((agent) => agent.end()));
    },
  };
  return world;
}

async function readRoot(url: string): Promise<Root> {
  const der = (await shownChain(url)).at(-1);
  must(der !== undefined, "the server shows no certificate");
  return { der, pem: certificatePem(der), sha256: createHash("sha256").update(der).digest("hex") };
}

/** Runs a case within its time; what it waits for has ended or is left alone. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let late: ReturnType<typeof setTimeout> | undefined;
  const end = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Unmet(`nothing was seen in ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(late);
  }
}

export type Ended = {
  readonly id: string;
  readonly section: string;
  readonly expects: string;
  readonly result: "passed" | "failed" | "skipped";
  readonly seen: string;
  readonly milliseconds: number;
};

/** One case from its start to its end: never throws for what a control plane does. */
export async function runCase(world: World, one: Case, milliseconds: number): Promise<Ended> {
  const { id, section, expects, core } = one;
  const began = performance.now();
  const ended = (result: Ended["result"], seen: string): Ended => {
    return { id, section, expects, result, seen, milliseconds: Math.round(performance.now() - began) };
  };
  try {
    return ended("passed", await within(milliseconds, one.run(world)));
  } catch (error) {
    if (error instanceof Unseen) return ended(core ? "failed" : "skipped", error.message);
    if (error instanceof Unmet || error instanceof Silent) return ended("failed", error.message);
    return ended("failed", String(error));
  }
}

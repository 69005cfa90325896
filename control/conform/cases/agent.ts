import { type Case, must } from "../case.ts";
import type { Wish } from "../driver.ts";
import type { RealAgent } from "../realAgent.ts";
import type { World } from "../world.ts";

const COMMANDS = "Commands";
const OPEN = ["queued", "handed-out", "intent"];

function scale(group: string, count: number, dry_run = false): Wish {
  return { action: "scale", args: { group, count }, seconds: 600, dry_run };
}

/** What became of a command that the real agent was sent. */
async function decided(world: World, agent: RealAgent, wish: Wish): Promise<{ id: string; state: string }> {
  const id = await world.driver.send(agent.cluster, wish);
  let state = "";
  await agent.until("the command is decided", async () => {
    ({ state } = await world.driver.state(id));
    return !OPEN.includes(state);
  });
  return { id, state };
}

async function is(world: World, wish: Wish, state: string): Promise<{ agent: RealAgent; id: string }> {
  const agent = await world.agent();
  const done = await decided(world, agent, wish);
  must(done.state === state, `it became ${done.state}`);
  return { agent, id: done.id };
}

function kindsAbout(agent: RealAgent, id: string): string[] {
  return agent
    .entries()
    .filter((entry) => entry["command"] === id)
    .map((entry) => String(entry["kind"]));
}

export const AGENT_CASES: readonly Case[] = [
  {
    id: "agent-joins",
    section: "Enrolment listener (server TLS, no client certificate)",
    expects: "`reeve run` joins by a token: its log begins with the epoch that it was given",
    core: true,
    async run(world) {
      const agent = await world.agent();
      const [first] = agent.entries();
      must(first?.["kind"] === "epoch" && agent.exit === null, `its first entry is ${first?.["kind"]}`);
      return `epoch ${first["epoch"]}`;
    },
  },
  {
    id: "agent-scale",
    section: COMMANDS,
    expects: "a command that the customer's policy permits is done, and `succeeded` is handed in",
    core: true,
    async run(world) {
      const { agent, id } = await is(world, scale("grows", 2), "succeeded");
      const kinds = kindsAbout(agent, id);
      must(kinds.join() === "intent,outcome", `its entries are ${kinds.join(", ")}`);
      must(agent.running() === 2, `${agent.running()} processes run`);
      return "succeeded, 2 processes run";
    },
  },
  {
    id: "agent-refused",
    section: COMMANDS,
    expects: "one that the policy does not permit changes nothing, and `refused` is handed in with its code",
    core: true,
    async run(world) {
      const { agent, id } = await is(world, scale("grows", 4), "refused");
      must(!kindsAbout(agent, id).includes("intent"), "there is an intent");
      const { code } = await world.driver.state(id);
      must(code === null || code === "policy.count.above-max", `its code is ${code}`);
      return `refused${code === null ? "" : ` (${code})`}`;
    },
  },
  {
    id: "agent-dry-run",
    section: COMMANDS,
    expects: "a dry run is `considered`, and changes nothing",
    core: true,
    async run(world) {
      const { agent, id } = await is(world, scale("grows", 3, true), "considered");
      must(kindsAbout(agent, id).join() === "considered", `its entries are ${kindsAbout(agent, id).join(", ")}`);
      return "considered";
    },
  },
  {
    id: "agent-waiting",
    section: COMMANDS,
    expects: "one that a person must approve is `waiting`, and when it is taken back `cancelled`",
    core: true,
    async run(world) {
      const { agent, id } = await is(world, scale("asks", 1), "waiting");
      await world.driver.cancel(id);
      await agent.until("it is cancelled", async () => (await world.driver.state(id)).state === "cancelled");
      return "waiting, then cancelled";
    },
  },
  {
    id: "agent-one-after-another",
    section: COMMANDS,
    expects: "three commands on one group are done one after another, in the order in which they were sent",
    core: true,
    async run(world) {
      const agent = await world.agent();
      const ids: string[] = [];
      for (const count of [1, 2, 1]) ids.push(await world.driver.send(agent.cluster, scale("grows", count)));
      await agent.until("all are done", async () => {
        for (const id of ids) if (OPEN.includes((await world.driver.state(id)).state)) return false;
        return true;
      });
      const kinds = ids.map((id) => kindsAbout(agent, id).join());
      must(
        kinds.every((one) => one === "intent,outcome"),
        `their entries are ${kinds.join("; ")}`,
      );
      const order = agent
        .entries()
        .filter((entry) => ids.includes(String(entry["command"])))
        .map((entry) => entry["command"]);
      must(
        order.join() === ids.flatMap((id) => [id, id]).join(),
        "an entry of one stands between the entries of another",
      );
      must(agent.running() === 1, `${agent.running()} processes run`);
      return "one after another";
    },
  },
  {
    id: "agent-killed",
    section: "Agents' listener (client certificate required)",
    expects: "killed and started again it goes on in its epoch, and takes commands",
    core: true,
    async run(world) {
      const agent = await world.agent();
      const epochs = () => new Set(agent.entries().map((entry) => entry["epoch"])).size;
      await agent.kill();
      agent.start();
      await is(world, scale("grows", 2), "succeeded");
      must(epochs() === 1, "its log has two epochs");
      return "succeeded, in the same epoch";
    },
  },
  {
    id: "agent-takes-trust",
    section: "Trust statements",
    expects: "a newer trust statement reaches it, and a command is taken after it",
    core: false,
    async run(world) {
      const agent = await world.agent();
      const version = await world.driver.rotate(agent.cluster);
      const has = (): boolean =>
        agent.entries().some((entry) => entry["kind"] === "trust" && entry["version"] === version);
      await agent.until(`statement ${version} is on its record`, has);
      await is(world, scale("grows", 1), "succeeded");
      return `version ${version}, and a command after it`;
    },
  },
  {
    id: "agent-replaced",
    section: "Enrolment listener (server TLS, no client certificate)",
    expects:
      "when another machine has joined, the first hears `fenced`, records it, and stops (exit 6); the other answers commands",
    core: true,
    async run(world) {
      const first = await world.newAgent(world.newCluster());
      await decided(world, first, scale("grows", 1));
      const second = await world.newAgent(first.cluster);
      await first.until("the first stops", () => first.exit !== null);
      must(first.exit === 6, `it ended with ${first.exit}`);
      must(first.entries().at(-1)?.["kind"] !== undefined, "its log is gone");
      const fenced = first.entries().some((entry) => entry["kind"] === "fenced");
      must(fenced, "its log has no entry of it");
      // Without the first one's memory its rates count as used up: what it answers is its policy's to say.
      const { id, state } = await decided(world, second, scale("grows", 1));
      must(kindsAbout(second, id).length > 0, `the other's log does not name the command, which became ${state}`);
      return `fenced, exit 6; the other's became ${state}`;
    },
  },
];

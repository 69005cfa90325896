import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import { readFleet } from "../../control/fleet.ts";
import { send } from "../../control/send.ts";
import { type Serving, serve } from "../../control/serve.ts";
import { Complaint } from "../../control/terminal.ts";
import {
  type Agent,
  agentOf,
  CLUSTER,
  call,
  enrolled,
  makeCsr,
  makeKey,
  pemOf,
  startWorld,
  type World,
} from "../control/client.ts";
import { onPostgres } from "./engine.ts";
import { type Postgres, placeDatabase } from "./postgres.ts";
import { until } from "./processes.ts";

/** Two who serve on one PostgreSQL: what an agent did at the one, the other knows. */
let postgres: Postgres;
let here: World;
let second: Serving;
let there: World;
let agent: Agent;
const open: ClientHttp2Session[] = [];
beforeAll(async () => {
  postgres = await onPostgres();
}, 120_000);
afterAll(() => postgres?.end(), 60_000);
beforeEach(async () => {
  here = await startWorld();
  agent = await enrolled(here);
  await agent.report(0);
  second = await serveBeside("second");
  there = Object.create(here, { serving: { value: second } }) as World;
}, 60_000);
afterEach(async () => {
  for (const session of open.splice(0)) session.destroy();
  await second.stop();
  await here.end();
}, 60_000);

/** Another replica, with a copy of the first one's keys. `without`: of these. */
async function serveBeside(name: string, without: readonly string[] = []): Promise<Serving> {
  const dir = join(here.dir, "..", name);
  placeDatabase(dir, await Bun.file(join(here.dir, "database")).text());
  const filter = (path: string): boolean => !without.some((one) => path.endsWith(one));
  cpSync(join(here.dir, "ca"), join(dir, "ca"), { recursive: true, filter });
  return serve({ dir, enrol: "127.0.0.1:0", agents: "127.0.0.1:0", trustDomain: undefined, bind: undefined });
}

async function line(at: World, by: Pick<Agent, "chain" | "key">): Promise<ClientHttp2Session> {
  const session = connect(`https://${at.serving.ready.agents}`, {
    ca: at.rootPem,
    cert: by.chain.map(pemOf).join(""),
    key: by.key.pem,
  });
  session.on("error", () => undefined);
  open.push(session);
  await new Promise<void>((resolve, reject) => {
    session.once("connect", () => resolve());
    session.once("close", () => reject(new Error("no connection")));
  });
  return session;
}

function renewOn(session: ClientHttp2Session, csr: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": "POST", ":path": "/v1/renew", "content-type": "application/json" });
    let text = "";
    stream.on("data", (part: Buffer) => {
      text += part.toString();
    });
    stream.on("end", () => resolve((JSON.parse(text) as { code?: string }).code ?? "200"));
    stream.on("error", reject);
    stream.end(JSON.stringify({ csr }));
  });
}

/** The same agent, whose calls go to the other one. */
const moved = (one: Agent): Agent => {
  const other = agentOf(there, one.key, one.chain, one.epoch);
  return Object.assign(Object.create(one) as Agent, { post: other.post, chain: one.chain, key: one.key });
};
const fenced = async (): Promise<boolean> =>
  (await here.store.read(readFleet)).some(({ alarms }) => alarms.some(({ kind }) => kind === "copy"));

test("an agent goes from one to the other and back, with what either gave it, and is never taken for two", async () => {
  for (let step = 0; step < 4; step++) {
    agent.append({ kind: "stopped", why: String(step) });
    const at = step % 2 === 0 ? there : here;
    const on = await line(at, agent);
    const key = await makeKey();
    expect(await renewOn(on, await makeCsr(key))).toBe("200");
    const answer = await call(at.serving.ready.agents, "/v1/renew", { csr: await makeCsr(key) }, tls(agent));
    agent = Object.assign(Object.create(agent) as Agent, { key, chain: answer.body["chain"] });
    const post = agentOf(at === here ? there : here, key, agent.chain, 1).post;
    const reported = { from: 0, entries: [...agent.lines], checkpoint: agent.checkpoint(), proofs: null };
    expect((await post("/v1/reports", reported)).body).toEqual({ next: agent.lines.length });
  }
  expect(await fenced()).toBe(false);
}, 60_000);

const tls = (of: Agent) => ({ ca: here.rootPem, cert: of.chain.map(pemOf).join(""), key: of.key.pem });

test("an older certificate on a connection from before is only late at the other one; on a later one it is a copy's there", async () => {
  const before = await line(there, agent);
  const older = { chain: agent.chain, key: agent.key };
  const key = await makeKey();
  const renewed = await agent.post("/v1/renew", { csr: await makeCsr(key) });
  agent = Object.assign(agent, { key, chain: renewed.body["chain"] as string[] });
  expect((await agent.poll()).status).toBe(200);
  expect(await renewOn(before, await makeCsr(await makeKey()))).toBe("certificate");
  expect(await fenced()).toBe(false);
  // It hears of it in a moment: until then whoever comes is taken for late.
  await until("the copy is known there", async () => {
    const answer = await renewOn(await line(there, older), await makeCsr(await makeKey()));
    return answer === "fenced";
  });
  expect((await agent.poll()).body["code"]).toBe("fenced");
  expect((await moved(agent).poll()).body["code"]).toBe("fenced");
}, 180_000);

test("a command wakes the poll that the other one holds, and is handed out once", async () => {
  const held = agent.poll({ hold: 60 });
  await until("it polls", async () => (await here.store.read(readFleet)).some(({ last_seen }) => last_seen !== null));
  const asked = { action: "scale" as const, args: { group: "brokers", count: 3 } };
  const wish = { dir: here.dir, cluster: CLUSTER, asked, by: "maria", why: "load", lifetime: 600, dryRun: false };
  await send(here.store, wish, here.signer);
  expect(((await held).body["commands"] as string[]).length).toBe(1);
  expect((await moved(agent).poll()).body["commands"]).toEqual([]);
}, 120_000);

test("a nonce of one is good at the other, once", async () => {
  const ask = async (at: World, nonce: unknown) => {
    const csr = await makeCsr(await makeKey());
    const proof = { platform: "gcp", token: "a.b.c" };
    return (await call(at.serving.ready.enrol, "/v1/enroll", { token: null, proof, nonce, csr }, { ca: here.rootPem }))
      .body["code"];
  };
  const { nonce } = (await call(here.serving.ready.enrol, "/v1/nonce", undefined, { ca: here.rootPem })).body;
  const codes = [await ask(there, nonce), await ask(here, nonce), await ask(there, nonce)];
  expect(codes).toEqual(["proof-not-admitted", "proof-nonce", "proof-nonce"]);
}, 60_000);

test("who has other keys than the state was served with does not start, and is told which to copy", async () => {
  const words = async (name: string, without: readonly string[]): Promise<string> =>
    serveBeside(name, without).then(
      () => "it served",
      (error: unknown) => (error instanceof Complaint ? `${error.exit} ${error.because}` : String(error)),
    );
  expect(await words("no-ca", ["ca/root.pem", "ca/root.key", "ca/token.key"])).toBe(
    "6 its ca/token.key is not the one that this state was served with",
  );
  expect(await words("no-witness", ["ca/witness.json"])).toBe(
    "6 its ca/witness.json is not the one that this state was served with",
  );
  const root = ["ca/root.pem", "ca/root.key", "ca/server.pem", "ca/server.key"];
  expect(await words("no-root", root)).toContain("6 its ca/");
}, 60_000);

test("while the database is away calls are answered `unavailable`, and go on when it is back: also what waits for news", async () => {
  await postgres.stop("power-cut");
  expect((await agent.poll()).body["code"]).toBe("unavailable");
  await postgres.start();
  await until("both answer", async () => {
    const [one, other] = await Promise.all([agent.poll(), moved(agent).poll()]);
    return one.status === 200 && other.status === 200;
  });
  const held = moved(agent).poll({ hold: 60 });
  const asked = { action: "scale" as const, args: { group: "brokers", count: 3 } };
  const wish = { dir: here.dir, cluster: CLUSTER, asked, by: "maria", why: "load", lifetime: 600, dryRun: false };
  await until("a command is taken", () =>
    send(here.store, wish, here.signer).then(
      () => true,
      () => false,
    ),
  );
  expect(((await held).body["commands"] as string[]).length).toBe(1);
}, 240_000);

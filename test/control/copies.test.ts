import "reflect-metadata";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type ClientHttp2Session, connect } from "node:http2";
import { unfence } from "../../control/epoch.ts";
import { type Agent, CLUSTER, enrolled, makeCsr, makeKey, pemOf, startWorld, type World } from "./client.ts";

/** What tells two that hold one identity from one that has died: through the agents' listener. */
let world: World;
let agent: Agent;
const open: ClientHttp2Session[] = [];
beforeEach(async () => {
  world = await startWorld(30);
  agent = await enrolled(world);
  await agent.report(0);
});
afterEach(async () => {
  for (const session of open.splice(0)) session.destroy();
  await world.end();
});

/** A connection that stays, by the certificate that the agent has now: what is sent on it may come late. */
async function line(): Promise<ClientHttp2Session> {
  const session = connect(`https://${world.serving.ready.agents}`, {
    ca: world.rootPem,
    cert: agent.chain.map(pemOf).join(""),
    key: agent.key.pem,
  });
  session.on("error", () => undefined);
  open.push(session);
  await new Promise<void>((resolve) => session.once("connect", () => resolve()));
  return session;
}
const poll = (process: string, checkpoint = agent.checkpoint()) => ({
  process,
  epoch: 1,
  checkpoint,
  trust_version: 1,
  version: "0.1.0",
  state: "ready",
  reason: "",
  take: 8,
  hold: 0,
});
/** The code of the answer, or 200. */
function post(session: ClientHttp2Session, path: string, body: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
    let [status, text] = [0, ""];
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.on("data", (part: Buffer) => {
      text += part.toString();
    });
    stream.on("end", () => resolve(status === 200 ? "200" : (JSON.parse(text) as { code: string }).code));
    stream.on("error", reject);
    stream.end(JSON.stringify(body));
  });
}
const [one, two, three] = [Bun.randomUUIDv7(), Bun.randomUUIDv7(), Bun.randomUUIDv7()];
const codeOf = async (process: string, checkpoint?: string): Promise<string> =>
  post(await line(), "/v1/commands", poll(process, checkpoint));

test("a process that another replaced is a copy's when it makes a connection after that, and both are fenced, also after a restart", async () => {
  expect([await codeOf(one), await codeOf(two), await codeOf(two)]).toEqual(["200", "200", "200"]);
  expect(await codeOf(one)).toBe("fenced");
  expect([await codeOf(two), await codeOf(three), (await agent.report(0)).body["code"]]).toEqual([
    "fenced",
    "fenced",
    "fenced",
  ]);
  await world.restart();
  expect(await codeOf(three)).toBe("fenced");
  await unfence(world.store, CLUSTER, 1, "maria", "the copy is gone");
  expect([await codeOf(three), (await agent.report(0)).status]).toEqual(["200", 200]);
});

test("what a process sent before it died, and comes late, is refused, ends its connection, and fences nobody", async () => {
  const dying = await line();
  expect(await post(dying, "/v1/commands", poll(one))).toBe("200");
  expect(await codeOf(two)).toBe("200");
  const closed = new Promise<void>((resolve) => dying.once("close", () => resolve()));
  expect(await post(dying, "/v1/commands", poll(one))).toBe("unavailable");
  await closed;
  expect(await codeOf(two)).toBe("200");
});

test("a poll that is held for a process that is replaced meanwhile brings it nothing", async () => {
  const before = await line();
  const held = post(before, "/v1/commands", { ...poll(one), hold: 30 });
  const other = await line();
  // In the order in which they came: the second takes the place only of one that has it.
  while (
    (await world.store.transaction((sql) => sql.rows("select 1 from clusters where process is not null"))).length === 0
  )
    await Bun.sleep(20);
  expect(await post(other, "/v1/commands", poll(two))).toBe("200");
  expect(await held).toBe("unavailable");
});

test("a shorter log is a copy's on a connection that is made after the longer one was seen, and only late on an older one", async () => {
  const [before, short] = [await line(), agent.checkpoint(1)];
  agent.append({ kind: "stopped", why: "a" });
  await agent.report(1);
  expect(await post(before, "/v1/commands", poll(one, short))).toBe("unavailable");
  expect(await codeOf(two)).toBe("200");
  expect(await codeOf(two, short)).toBe("fenced");
  expect(await codeOf(two)).toBe("fenced");
});

test("an older certificate is late on a connection from before the newer was used, and a copy's on a later one", async () => {
  const before = await line();
  const [key, older] = [await makeKey(), { key: agent.key, chain: agent.chain }];
  const renewed = await agent.post("/v1/renew", { csr: await makeCsr(key) });
  agent.key = key;
  agent.chain = renewed.body["chain"] as string[];
  expect(await codeOf(one)).toBe("200");
  expect(await post(before, "/v1/commands", poll(one))).toBe("certificate");
  expect(await codeOf(one)).toBe("200");
  [agent.key, agent.chain] = [older.key, older.chain];
  expect(await codeOf(one)).toBe("fenced");
});

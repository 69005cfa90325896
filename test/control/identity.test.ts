import "reflect-metadata";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sign } from "node:crypto";
import { connect } from "node:tls";
import * as x509 from "@peculiar/x509";
import { readFleet } from "../../control/fleet.ts";
import { openNonces } from "../../control/nonces.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { agentOf, call, ECDSA, enrolled, enrolWith, ID, makeCsr, makeKey, startWorld, type World } from "./client.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.end());

const alarms = async (): Promise<string[]> =>
  (await world.store.transaction(readFleet)).flatMap((one) => one.alarms.map((alarm) => alarm.kind));

test("a lost enrolment answer is given again for the same key until the certificate's first use", async () => {
  const token = await world.token();
  const key = await makeKey();
  const first = await enrolWith(world, token, key);
  await world.restart();
  const second = await enrolWith(world, token, key);
  expect(first.status).toBe(200);
  expect(second).toEqual(first);
  const agent = agentOf(world, key, first.body["chain"] as string[], Number(first.body["epoch"]));
  expect((await agent.report(0)).body).toEqual({ next: 1 });
  expect((await enrolWith(world, token, key)).body["code"]).toBe("token-burnt");
});

test("a token used by a second key is refused as theft, and the alarm shows in the fleet", async () => {
  const token = await world.token();
  expect((await enrolWith(world, token, await makeKey())).status).toBe(200);
  const thief = await enrolWith(world, token, await makeKey());
  expect(thief.status).toBe(403);
  expect(thief.body["code"]).toBe("token-theft");
  expect(await alarms()).toContain("token-theft");
});

test("a token is one of ours, unchanged and in its time", async () => {
  const key = await makeKey();
  const token = await world.token();
  const [header, payload, signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload ?? "", "base64url").toString());
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: "other" })).toString("base64url");
  expect((await enrolWith(world, `${header}.${forged}.${signature}`, key)).body["code"]).toBe("token-invalid");
  const short = await world.token(1);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  expect((await enrolWith(world, short, key)).body["code"]).toBe("token-expired");
});

test("a request for another name, more names, a CA, or by an unfit key is refused and burns nothing", async () => {
  const token = await world.token();
  const key = await makeKey();
  const ask = async (csr: string) =>
    (
      await call(
        world.serving.ready.enrol,
        "/v1/enroll",
        { token, proof: null, nonce: null, csr },
        { ca: world.rootPem },
      )
    ).body["code"];
  expect(await ask(await makeCsr(key, [{ type: "url", value: `${ID}x` }]))).toBe("csr-invalid");
  expect(
    await ask(
      await makeCsr(key, [
        { type: "url", value: ID },
        { type: "dns", value: "x.example" },
      ]),
    ),
  ).toBe("csr-invalid");
  expect(await ask(await makeCsr(key, undefined, [new x509.BasicConstraintsExtension(true)]))).toBe("csr-invalid");
  expect(await ask("AAAA")).toBe("csr-invalid");
  const whole = Buffer.from(await makeCsr(key), "base64");
  whole[whole.length - 1] = (whole[whole.length - 1] ?? 0) ^ 1;
  expect(await ask(whole.toString("base64"))).toBe("csr-invalid");
  expect((await enrolWith(world, token, key)).status).toBe(200);
});

test("a new enrolment raises the epoch and fences the older agent", async () => {
  const older = await enrolled(world);
  expect((await older.report(0)).status).toBe(200);
  const newer = await enrolled(world);
  expect(newer.epoch).toBe(older.epoch + 1);
  for (const path of ["/v1/commands", "/v1/reports", "/v1/renew"]) {
    const answer = await older.post(path, {});
    expect([answer.status, answer.body["code"]]).toEqual([403, "fenced"]);
  }
  expect(await alarms()).toContain("fenced-agent");
  expect((await newer.report(0)).status).toBe(200);
});

test("a renewed certificate becomes current by its first use, and then the older is a copy's, and both are fenced", async () => {
  const agent = await enrolled(world);
  expect((await agent.report(0)).status).toBe(200);
  const older = { key: agent.key, chain: agent.chain };
  const key = await makeKey();
  const csr = await makeCsr(key);
  const first = await agent.post("/v1/renew", { csr });
  const again = await agent.post("/v1/renew", { csr });
  expect(first.status).toBe(200);
  expect(again).toEqual(first);
  expect((await agent.poll()).status).toBe(200);
  agent.key = key;
  agent.chain = first.body["chain"] as string[];
  expect((await agent.poll()).status).toBe(200);
  agent.key = older.key;
  agent.chain = older.chain;
  expect((await agent.poll()).body["code"]).toBe("fenced");
  agent.key = key;
  agent.chain = first.body["chain"] as string[];
  expect((await agent.poll()).body["code"]).toBe("fenced");
});

test("a renewal brings a new key", async () => {
  const agent = await enrolled(world);
  expect((await agent.post("/v1/renew", { csr: await makeCsr(agent.key) })).body["code"]).toBe("csr-invalid");
});

async function grace(
  agent: { key: Awaited<ReturnType<typeof makeKey>>; chain: readonly string[] },
  by = agent.key,
  nonce?: string,
) {
  const fresh =
    nonce ??
    String((await call(world.serving.ready.enrol, "/v1/nonce", undefined, { ca: world.rootPem })).body["nonce"]);
  const csr = await makeCsr(await makeKey());
  const signature = sign("sha256", Buffer.from(`reeve-renew\n${fresh}\n${csr}`), {
    key: by.key,
    dsaEncoding: "ieee-p1363",
  }).toString("base64url");
  const answer = await call(
    world.serving.ready.enrol,
    "/v1/renew",
    { csr, chain: agent.chain, nonce: fresh, signature },
    { ca: world.rootPem },
  );
  return { answer, nonce: fresh };
}
const expire = (seconds: number, epoch: number) =>
  world.store.transaction((sql) =>
    sql.run("update certificates set not_after = $1 where epoch = $2", Math.floor(Date.now() / 1000) - seconds, epoch),
  );

test("an expired certificate renews for 7 days, by proof of its key over a nonce that is good once", async () => {
  const agent = await enrolled(world);
  await expire(6 * 86_400, agent.epoch);
  expect((await grace(agent, await makeKey())).answer.body["code"]).toBe("certificate");
  const good = await grace(agent);
  expect(good.answer.status).toBe(200);
  expect((await grace(agent, agent.key, good.nonce)).answer.body["code"]).toBe("malformed");
  await expire(7 * 86_400 + 5, agent.epoch);
  expect((await grace(agent)).answer.body["code"]).toBe("expired");
  await enrolled(world);
  expect((await grace(agent)).answer.body["code"]).toBe("fenced");
});

test("a renewal in grace that comes late, after a newer certificate was used, is refused and fences nobody; one over a later nonce is a copy's", async () => {
  const agent = await enrolled(world);
  expect((await agent.report(0)).status).toBe(200);
  const older = { key: agent.key, chain: agent.chain };
  const asked = await call(world.serving.ready.enrol, "/v1/nonce", undefined, { ca: world.rootPem });
  const early = String(asked.body["nonce"]);
  const key = await makeKey();
  const renewed = await agent.post("/v1/renew", { csr: await makeCsr(key) });
  agent.key = key;
  agent.chain = renewed.body["chain"] as string[];
  expect((await agent.poll()).status).toBe(200);
  expect((await grace(older, older.key, early)).answer.body["code"]).toBe("certificate");
  expect((await agent.poll()).status).toBe(200);
  expect((await grace(older)).answer.body["code"]).toBe("fenced");
  expect((await agent.poll()).body["code"]).toBe("fenced");
});

test("a nonce is good once and for a minute, at each who serves on this state, and nowhere else", async () => {
  let now = 2_000_000_000_000;
  const open = (store = world.store) => openNonces(store, { newest: () => 7 }, () => now);
  const [here, there] = [await open(), await open()];
  const nonce = here.make();
  expect(there.madeAt(nonce)).toBe(7);
  const stranger = await openSqlite(":memory:");
  expect(await (await open(stranger)).use(nonce)).toBe(false);
  stranger.close();
  expect((await Promise.all([there, here, there].map((one) => one.use(nonce)))).filter((good) => good).length).toBe(1);
  expect(await here.use(nonce)).toBe(false);
  const [late, early] = [here.make(), here.make()];
  now += 60_000;
  expect(await here.use(late)).toBe(false);
  // The clock that made it was far ahead, or this one was set back.
  now -= 121_000;
  expect(await here.use(early)).toBe(false);
});

test("a used nonce is not good again for as long as it lives, however many were used since, and none is kept for long", async () => {
  let now = 2_100_000_000_000;
  const nonces = await openNonces(world.store, { newest: () => 0 }, () => now);
  const kept = async (): Promise<number> => {
    const text = "select count(*) as number from used_nonces";
    const [row] = await world.store.transaction((sql) => sql.rows<{ number: number }>(text));
    return row?.number ?? 0;
  };
  const taken: string[] = [];
  for (let step = 0; step < 150; step++) {
    now += 10_000;
    const nonce = nonces.make();
    expect(await nonces.use(nonce)).toBe(true);
    taken.push(nonce);
    for (const one of taken.slice(-7)) expect(await nonces.use(one)).toBe(false);
  }
  expect(await kept()).toBeLessThanOrEqual(70);
  now += 700_000;
  expect(await nonces.use(nonces.make())).toBe(true);
  expect(await kept()).toBe(1);
});

test("a nonce that comes beside a wrong signature is not used up by it", async () => {
  const agent = await enrolled(world);
  await expire(86_400, agent.epoch);
  const { answer, nonce } = await grace(agent, await makeKey());
  expect(answer.body["code"]).toBe("certificate");
  expect((await grace(agent, agent.key, nonce)).answer.status).toBe(200);
});

/** Sends a poll by hand and gives the first line of the answer, or why there was none. */
function knock(tls: { cert?: string; key?: string }): Promise<string> {
  const [host, port] = world.serving.ready.agents.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), ca: world.rootPem, ...tls }, () => {
      socket.write("POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    });
    let text = "";
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", (error) => resolve(`refused ${String(error.message).slice(0, 40)}`));
    socket.on("close", () => resolve(text.split("\r\n")[0] || "refused"));
  });
}

test("of 500 connections with a rogue certificate and 50 with none, none is answered by more than a refusal", async () => {
  const key = await makeKey();
  const rogueRoot = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=reeve control plane root",
    keys: key.pair,
    signingAlgorithm: ECDSA,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const leaf = await x509.X509CertificateGenerator.create({
    subject: "CN=reeve agent",
    issuer: rogueRoot.subject,
    publicKey: key.pair.publicKey,
    signingKey: key.pair.privateKey,
    signingAlgorithm: ECDSA,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: ID }])],
  });
  const rogue = { cert: `${leaf.toString("pem")}\n${rogueRoot.toString("pem")}`, key: key.pem };
  const answers: string[] = [];
  for (let round = 0; round < 50; round++)
    answers.push(...(await Promise.all([...Array.from({ length: 10 }, () => knock(rogue)), knock({})])));
  expect(answers.length).toBe(550);
  expect(answers.filter((answer) => !answer.startsWith("refused"))).toEqual([]);
  // The same knock by a certificate of ours is answered: the test can tell.
  const agent = await enrolled(world);
  const pem = agent.chain.map((der) => `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`).join("");
  expect(await knock({ cert: pem, key: agent.key.pem })).toStartWith("HTTP/1.1 400");
}, 60_000);

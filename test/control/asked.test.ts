/** What the control plane asks of a platform for callers: how much at a time, and what of it keeps the theft alarm away. */
import "reflect-metadata";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Proof } from "../../agent/wire/proof.ts";
import { admitPrincipal } from "../../control/admissions.ts";
import { openAuthority } from "../../control/ca.ts";
import { enrol } from "../../control/enrol.ts";
import { Faulted, Outage } from "../../control/fault.ts";
import { readFleet } from "../../control/fleet.ts";
import { openNonces } from "../../control/nonces.ts";
import { PLACES } from "../../control/proof/places.ts";
import { proofVerifier } from "../../control/proof/verify.ts";
import { openWitnessKey } from "../../control/witness/key.ts";
import { CLUSTER, enrolled, makeCsr, makeKey, startWorld, type World } from "./client.ts";

let world: World;
let silent: Server;
const open: Socket[] = [];
const listening = (server: Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
let places: typeof PLACES;
beforeAll(async () => {
  world = await startWorld();
  // It takes connections and never says a word.
  silent = createServer((socket) => {
    open.push(socket.on("error", () => undefined));
  });
  const place = { partition: "aws", host: "sts.eu-west-1.amazonaws.com", at: await listening(silent), ca: null };
  places = { ...PLACES, aws: new Map([["eu-west-1", place]]) };
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  silent?.close();
  await world?.end();
});

const authorization = [
  `AWS4-HMAC-SHA256 Credential=${"A".repeat(20)}/20261124/eu-west-1/sts/aws4_request`,
  "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-reeve-binding",
  `Signature=${"0".repeat(64)}`,
].join(", ");
const AWS: Proof = { platform: "aws", region: "eu-west-1", date: "20261124T000000Z", session: "x", authorization };
const GCP: Proof = { platform: "gcp", token: "a.b.c" };
const ANY = randomBytes(32);

test("one cluster's proofs take four of the places in which AWS is asked, and no other cluster's; what asks nobody takes none", async () => {
  const verify = proofVerifier(places);
  const asked = [1, 2, 3, 4].map(() => verify(AWS, ANY, "greedy"));
  const fifth = await verify(AWS, ANY, "greedy");
  expect(fifth).toMatchObject({ code: "unavailable", message: expect.stringContaining("too many proofs") });
  // It lies with the caller.
  expect(fifth).not.toBeInstanceOf(Outage);
  expect(await verify(GCP, ANY, "greedy")).toMatchObject({ code: "proof-invalid" });
  const others = ["a", "b", "c", "d", "e", "f", "g"].flatMap((name) => [1, 2, 3, 4].map(() => verify(AWS, ANY, name)));
  const beyond = await verify(AWS, ANY, "h");
  expect(beyond).toMatchObject({ message: expect.stringContaining("too many proofs") });
  const end = performance.now() + 60_000;
  while (open.length < 32 && performance.now() < end) await Bun.sleep(20);
  expect(open.length).toBe(32);
  for (const socket of open.splice(0)) socket.destroy();
  const answers = await Promise.all([...asked, ...others]);
  expect(answers.every((one) => one instanceof Outage)).toBe(true);
  // The places are free again.
  const again = verify(AWS, ANY, "greedy");
  while (open.length < 1 && performance.now() < end) await Bun.sleep(20);
  for (const socket of open.splice(0)) socket.destroy();
  expect(await again).toBeInstanceOf(Outage);
});

const alarms = async (): Promise<string[]> =>
  (await world.store.transaction(readFleet)).flatMap((one) => one.alarms.map(({ kind }) => kind));

test("a used token with another key is the theft alarm, unless the platform is out by nothing that the caller could do", async () => {
  const token = await world.token();
  await enrolled(world, token);
  const principal = { platform: "aws", place: "123456789012", who: "reeve" } as const;
  await admitPrincipal(world.store, { cluster: CLUSTER, principal, budget: 3, by: "maria", why: "test" });
  const nonces = await openNonces(world.store, { newest: () => 0 });
  const plane = {
    store: world.store,
    authority: await openAuthority(world.dir, ["127.0.0.1"]),
    witness: openWitnessKey(`${world.dir}/ca`, undefined),
    trustDomain: world.serving.ready.trust_domain,
    enrolUrl: `https://${world.serving.ready.enrol}`,
    agentsUrl: `https://${world.serving.ready.agents}`,
  };
  const ask = async (says: Faulted): Promise<string> => {
    const csr = await makeCsr(await makeKey());
    const asked = { token, proof: AWS, nonce: nonces.make(), csr };
    return enrol({ ...plane, verify: async () => says }, nonces, asked).then(
      () => "enrolled",
      (error) => (error instanceof Faulted ? error.code : String(error)),
    );
  };
  expect(await ask(new Outage("STS cannot be asked: no connection"))).toBe("unavailable");
  expect(await alarms()).not.toContain("token-theft");
  expect(await ask(new Faulted("unavailable", "STS cannot be asked: it answers 400"))).toBe("unavailable");
  expect(await alarms()).toContain("token-theft");
});

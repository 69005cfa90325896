import { ExtendedKeyUsageExtension } from "@peculiar/x509";
import { spiffeId } from "../../../agent/wire/names.ts";
import { type Case, refused } from "../case.ts";
import { newKey, requestOf } from "../keys.ts";
import type { Answer } from "../line.ts";
import { enrolBy, trustDomainOf } from "../speaker.ts";
import type { World } from "../world.ts";

const SECTION = "Enrolment listener (server TLS, no client certificate)";

type Also = { readonly curve?: string; readonly over?: Parameters<typeof requestOf>[2]; readonly named?: string };
/** A first enrolment with a good token and another request than an agent's. */
async function enrolWith(world: World, { curve, over, named }: Also): Promise<Answer> {
  const cluster = world.newCluster();
  const line = await world.enrolment();
  const id = spiffeId(await trustDomainOf(line), named ?? cluster);
  const csr = await requestOf(await newKey(curve), id, over);
  return enrolBy({ line, token: await world.driver.token(cluster, 3600), csr });
}

function withBrokenSignature(csr: string): string {
  const der = Buffer.from(csr, "base64");
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  return der.toString("base64");
}

export const REQUEST_CASES: readonly Case[] = [
  {
    id: "enrol-csr-other-name",
    section: SECTION,
    expects: "a request for another cluster than the token's is `csr-invalid`",
    core: true,
    run: async (world) => refused(await enrolWith(world, { named: "somebody-else" }), "csr-invalid"),
  },
  {
    id: "enrol-csr-second-name",
    section: SECTION,
    expects: "a request for a second name is `csr-invalid`",
    core: true,
    run: async (world) =>
      refused(await enrolWith(world, { over: { names: [{ type: "dns", value: "more.example" }] } }), "csr-invalid"),
  },
  {
    id: "enrol-csr-extension",
    section: SECTION,
    expects: "a request for another extension is `csr-invalid`",
    core: true,
    async run(world) {
      const extensions = [new ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.1"])];
      return refused(await enrolWith(world, { over: { extensions } }), "csr-invalid");
    },
  },
  {
    id: "enrol-csr-curve",
    section: SECTION,
    expects: "a request with a key on another curve is `csr-invalid`",
    core: true,
    run: async (world) => refused(await enrolWith(world, { curve: "P-384" }), "csr-invalid"),
  },
  {
    id: "enrol-csr-signature",
    section: SECTION,
    expects: "a request that its key did not sign is `csr-invalid`",
    core: true,
    async run(world) {
      const cluster = world.newCluster();
      const line = await world.enrolment();
      const csr = withBrokenSignature(await requestOf(await newKey(), spiffeId(await trustDomainOf(line), cluster)));
      return refused(await enrolBy({ line, token: await world.driver.token(cluster, 60), csr }), "csr-invalid");
    },
  },
];

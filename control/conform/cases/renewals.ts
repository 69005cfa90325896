import { sign } from "node:crypto";
import { NonceAnswer, RenewAnswer } from "../../../agent/wire/protocol.ts";
import { checkChain } from "../../../agent/wire/x509.ts";
import { type Case, must, refused, taken } from "../case.ts";
import { newKey, requestOf } from "../keys.ts";
import type { Answer } from "../line.ts";
import { leafOf, type Slot, type Speaker } from "../speaker.ts";
import type { World } from "../world.ts";

const SECTION = "Agents' listener (client certificate required)";
const GRACE = "Enrolment listener (server TLS, no client certificate)";

type Grace = { readonly slot?: Slot; readonly nonce?: string; readonly signed?: string };
/** A grace renewal: by `slot`, by default the certificate in use; `signed`: other text than the one due. */
async function graceRenewal(world: World, speaker: Speaker, how: Grace = {}): Promise<Answer> {
  const line = await world.enrolment();
  const slot = how.slot ?? speaker.slot;
  const nonce = how.nonce ?? taken(await line.ask("/v1/nonce"), NonceAnswer).nonce;
  const csr = await requestOf(await newKey(), speaker.id);
  const text = how.signed ?? `reeve-renew\n${nonce}\n${csr}`;
  const signature = sign("sha256", Buffer.from(text), { key: slot.key.key, dsaEncoding: "ieee-p1363" });
  return line.ask("/v1/renew", { csr, chain: slot.chain, nonce, signature: signature.toString("base64url") });
}

export const RENEWAL_CASES: readonly Case[] = [
  {
    id: "renew-two-slots",
    section: SECTION,
    expects: "until the new certificate's first use the older one is served",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const line = await speaker.line();
      const next = await speaker.renew(line);
      const root = await world.root();
      const chain = next.chain.map((der) => Buffer.from(der, "base64"));
      const checked = checkChain(chain, [root.der], Date.now());
      must(!("bad" in checked), "bad" in checked ? checked.bad : "");
      must(checked.leaf.uri === speaker.id, `the new certificate names ${checked.leaf.uri}`);
      const process = speaker.newProcess();
      await speaker.poll(line, process, { take: 0 });
      line.close();
      await speaker.poll(await speaker.line(next), process, { take: 0 });
      return "the older, then the newer";
    },
  },
  {
    id: "renew-older-refused",
    section: SECTION,
    expects:
      "after the new one's first use the older is refused on a connection that was open before (`certificate`), and nobody is fenced",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const older = await speaker.line();
      const next = await speaker.renew(older);
      const newer = await speaker.line(next);
      const process = speaker.newProcess();
      await speaker.poll(newer, process, { take: 0 });
      const seen = refused(await speaker.polled(older, process, { take: 0 }), "certificate", "unavailable");
      await speaker.poll(newer, process, { take: 0 });
      return `${seen}; the newer goes on`;
    },
  },
  {
    id: "renew-older-is-a-copy",
    section: SECTION,
    expects:
      "the older certificate on a connection that was made after its replacement is a copy's: `fenced`, for both",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const newer = await speaker.line(await speaker.renew(await speaker.line()));
      const process = speaker.newProcess();
      await speaker.poll(newer, process, { take: 0 });
      refused(await speaker.polled(await speaker.line(), process, { take: 0 }), "fenced");
      return `${refused(await speaker.polled(newer, process, { take: 0 }), "fenced")} for both`;
    },
  },
  {
    id: "renew-same-request",
    section: SECTION,
    expects: "the same request while it is pending is answered with the same certificate",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const line = await speaker.line();
      const csr = await requestOf(await newKey(), speaker.id);
      const chains = [await line.ask("/v1/renew", { csr }), await line.ask("/v1/renew", { csr })];
      const [one, other] = chains.map((answer) => leafOf(taken(answer, RenewAnswer).chain).serialNumber);
      must(one === other, "two certificates were issued");
      return "one certificate";
    },
  },
  {
    id: "renew-key-used",
    section: SECTION,
    expects: "a key that has had a certificate is `csr-invalid`",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const csr = await requestOf(speaker.slot.key, speaker.id);
      return refused(await (await speaker.line()).ask("/v1/renew", { csr }), "csr-invalid");
    },
  },
  {
    id: "renew-csr-more",
    section: SECTION,
    expects: "a renewal that asks for another name is `csr-invalid`",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const csr = await requestOf(await newKey(), speaker.id.replace(speaker.cluster, "somebody-else"));
      return refused(await (await speaker.line()).ask("/v1/renew", { csr }), "csr-invalid");
    },
  },
  {
    id: "renew-grace",
    section: GRACE,
    expects: "a signature by the current certificate's key over a fresh nonce renews it without a client certificate",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const { chain } = taken(await graceRenewal(world, speaker), RenewAnswer);
      return `serial number ${leafOf(chain).serialNumber}`;
    },
  },
  {
    id: "renew-grace-nonce",
    section: GRACE,
    expects: "a nonce of nobody's, and one that was used, are `malformed` at a grace renewal",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const nobodys = Buffer.alloc(32, 7).toString("base64url");
      const seen = refused(await graceRenewal(world, speaker, { nonce: nobodys }), "malformed");
      const { nonce } = taken(await (await world.enrolment()).ask("/v1/nonce"), NonceAnswer);
      taken(await graceRenewal(world, speaker, { nonce }), RenewAnswer);
      refused(await graceRenewal(world, speaker, { nonce }), "malformed");
      return `${seen}, for both`;
    },
  },
  {
    id: "renew-grace-signature",
    section: GRACE,
    expects:
      "a signature over other text, and a certificate that was not issued here, are `certificate` at a grace renewal",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const seen = refused(await graceRenewal(world, speaker, { signed: "reeve-renew\n" }), "certificate");
      const key = await newKey();
      refused(await graceRenewal(world, speaker, { slot: { key, chain: speaker.slot.chain } }), "certificate");
      return seen;
    },
  },
  {
    id: "renew-grace-fenced",
    section: GRACE,
    expects: "an agent that was replaced hears `fenced` at a grace renewal",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      await world.begun(speaker.cluster);
      return refused(await graceRenewal(world, speaker), "fenced");
    },
  },
];

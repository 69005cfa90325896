import { CERTIFICATE_LIFETIME_SECONDS } from "../../../agent/limits.ts";
import { spiffeId } from "../../../agent/wire/names.ts";
import { EnrolAnswer } from "../../../agent/wire/protocol.ts";
import { checkChain } from "../../../agent/wire/x509.ts";
import { type Case, must, refused, taken } from "../case.ts";
import { newKey, requestOf } from "../keys.ts";
import { jsonOf } from "../line.ts";
import { enrolBy, leafOf, trustDomainOf } from "../speaker.ts";

const SECTION = "Enrolment listener (server TLS, no client certificate)";

export const ENROL_CASES: readonly Case[] = [
  {
    id: "enrol-answer",
    section: SECTION,
    expects: "a good token brings a chain for this key and name alone, leaf first and root last, for 24 h",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const { chain, epoch } = speaker.answer;
      const root = await world.root();
      const checked = checkChain(
        chain.map((der) => Buffer.from(der, "base64")),
        [root.der],
        Date.now(),
      );
      must(!("bad" in checked), `the chain does not hold: ${"bad" in checked ? checked.bad : ""}`);
      must(checked.leaf.uri === speaker.id, `the certificate names ${checked.leaf.uri}`);
      const spki = Buffer.from(await crypto.subtle.exportKey("spki", speaker.slot.key.pair.publicKey));
      must(spki.equals(Buffer.from(checked.leaf.spki)), "the certificate is for another key");
      const seconds = (checked.leaf.notAfterMs - Date.now()) / 1000;
      must(seconds > 0 && seconds <= CERTIFICATE_LIFETIME_SECONDS + 60, `it is good for ${Math.round(seconds)} s`);
      return `epoch ${epoch}, good for ${Math.round(seconds / 3600)} h`;
    },
  },
  {
    id: "enrol-again-same-key",
    section: SECTION,
    expects: "the same token and the same public key are answered the same, until the certificate's first use",
    core: true,
    async run(world) {
      const { token, csr, answer } = await world.enrolled();
      const again = taken(await enrolBy({ line: await world.enrolment(), token, csr }), EnrolAnswer);
      must(again.epoch === answer.epoch, `epoch ${answer.epoch}, then ${again.epoch}`);
      must(again.chain[0] === answer.chain[0], "another certificate was issued");
      return `epoch ${again.epoch} twice, one certificate`;
    },
  },
  {
    id: "enrol-burnt-after-use",
    section: SECTION,
    expects: "after the certificate's first use the token is `token-burnt` for the same key",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      return refused(await enrolBy({ ...speaker, line: await world.enrolment() }), "token-burnt");
    },
  },
  {
    id: "enrol-theft",
    section: SECTION,
    expects: "a burnt token with another public key is `token-theft`, and the first agent goes on",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const csr = await requestOf(await newKey(), speaker.id);
      const seen = refused(await enrolBy({ ...speaker, csr, line: await world.enrolment() }), "token-theft");
      await speaker.handIn(await speaker.line());
      return `${seen}; the first was answered`;
    },
  },
  {
    id: "enrol-token-expired",
    section: SECTION,
    expects: "past its `exp` a token is `token-expired`",
    core: true,
    async run(world) {
      const line = await world.enrolment();
      const cluster = world.newCluster();
      const token = await world.driver.token(cluster, 1);
      const csr = await requestOf(await newKey(), spiffeId(await trustDomainOf(line), cluster));
      const { exp } = jsonOf(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
      while (((await line.ask("/v1/nonce")).dateMs ?? Date.now()) / 1000 <= exp) await Bun.sleep(100);
      return refused(await enrolBy({ line, token, csr }), "token-expired");
    },
  },
  {
    id: "enrol-token-forged",
    section: SECTION,
    expects:
      "a token whose signature does not hold is `token-invalid`, and so is text that is no token of this control plane",
    core: true,
    async run(world) {
      const line = await world.enrolment();
      const cluster = world.newCluster();
      const token = await world.driver.token(cluster, 60);
      const [header = "", payload = "", signature = ""] = token.split(".");
      const bytes = Buffer.from(signature, "base64url");
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      const csr = await requestOf(await newKey(), spiffeId(await trustDomainOf(line), cluster));
      const forged = `${header}.${payload}.${bytes.toString("base64url")}`;
      return refused(await enrolBy({ line, token: forged, csr }), "token-invalid");
    },
  },
  {
    id: "enrol-nobody",
    section: SECTION,
    expects: "with neither a token nor a proof it is `malformed`",
    core: true,
    async run(world) {
      const csr = await requestOf(await newKey(), "spiffe://a/cluster/b/agent");
      const line = await world.enrolment();
      return refused(await line.ask("/v1/enroll", { token: null, proof: null, nonce: null, csr }), "malformed");
    },
  },
  {
    id: "enrol-epoch-rises",
    section: SECTION,
    expects: "a second enrolment has the next epoch, and the first's certificate is `fenced` on each call",
    core: true,
    async run(world) {
      const first = await world.begun();
      const held = await first.line();
      const second = await world.begun(first.cluster);
      must(second.epoch > first.epoch, `epoch ${first.epoch}, then ${second.epoch}`);
      refused(await first.polled(await first.line(), first.newProcess()), "fenced");
      refused(await held.ask("/v1/renew", { csr: await requestOf(await newKey(), first.id) }), "fenced");
      const seen = refused(await first.reported(held, 0, []), "fenced");
      return `epoch ${first.epoch}, then ${second.epoch}; ${seen} for the first`;
    },
  },
  {
    id: "enrol-certificates-differ",
    section: "Names",
    expects: "each certificate has its own serial number",
    core: true,
    async run(world) {
      const [one, other] = [await world.enrolled(), await world.enrolled()];
      const serials = [one, other].map(({ answer }) => leafOf(answer.chain).serialNumber);
      must(serials[0] !== serials[1], "two certificates have one serial number");
      return "two serial numbers";
    },
  },
];

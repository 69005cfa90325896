import { X509Certificate } from "node:crypto";
import { NonceAnswer } from "../../../agent/wire/protocol.ts";
import { checkChain } from "../../../agent/wire/x509.ts";
import { type Case, must, refused, taken, Unseen } from "../case.ts";
import { newKey, selfSigned } from "../keys.ts";
import { dial, handshake, jsonOf, Silent, shownChain } from "../line.ts";
import type { World } from "../world.ts";

const LISTENER = "Enrolment listener (server TLS, no client certificate)";
const AGENTS = "Agents' listener (client certificate required)";

async function shown(url: string): Promise<string> {
  const chain = await shownChain(url);
  const root = chain.at(-1);
  must(root !== undefined && chain.length >= 2, `the server shows ${chain.length} certificates`);
  const checked = checkChain(chain, [root], Date.now());
  must(!("bad" in checked), `the shown chain does not hold: ${"bad" in checked ? checked.bad : ""}`);
  const own = new X509Certificate(Buffer.from(root));
  must(own.verify(own.publicKey), "the last certificate that is shown is no root");
  return `${chain.length} certificates, the last a root`;
}

/** What a call by whoever has no good certificate comes to: no connection, or `certificate`. */
async function turnedAway(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Silent) return `no answer (${error.message})`;
    throw error;
  }
}

async function agentsUrl(world: World): Promise<{ url: string; roots: string[]; id: string }> {
  const { answer, id } = await world.enrolled();
  return { url: answer.agents_url, roots: [(await world.root()).pem], id };
}

async function tls12(url: string): Promise<string> {
  try {
    (await handshake(url, { roots: null, version: "TLSv1.2" })).destroy();
  } catch (error) {
    if (error instanceof Silent) return `no connection (${error.message})`;
    throw error;
  }
  must(false, "a connection by TLS 1.2 was accepted");
}

export const TLS_CASES: readonly Case[] = [
  {
    id: "tls-root-in-chain",
    section: LISTENER,
    expects: "the enrolment listener shows its root, last in a chain that holds",
    core: true,
    run: (world) => shown(world.url),
  },
  {
    id: "tls-pin",
    section: LISTENER,
    expects: "the shown root's SHA-256 is the one in a join token, whose `url` is the enrolment address",
    core: true,
    async run(world) {
      const token = await world.driver.token(world.newCluster(), 60);
      const claims = jsonOf(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;
      const { sha256 } = await world.root();
      must(claims?.["sha"] === sha256, `the token says ${claims?.["sha"]}, the server shows ${sha256}`);
      must(claims["url"] === world.url, `the token's url is ${claims["url"]}, not ${world.url}`);
      return sha256;
    },
  },
  {
    id: "tls-version",
    section: "The protocol",
    expects: "TLS 1.2 is not spoken, on either listener",
    core: true,
    async run(world) {
      const { url } = await agentsUrl(world);
      return `${await tls12(world.url)}, ${await tls12(url)}`;
    },
  },
  {
    id: "tls-http2",
    section: "The protocol",
    expects: "both listeners speak HTTP/2 to a client that offers nothing else",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      await speaker.poll(await speaker.line(), speaker.newProcess(), { take: 0 });
      return "answered over h2 on both";
    },
  },
  {
    id: "tls-http1",
    section: "The protocol",
    expects: "HTTP/1.1 is answered too, for other clients",
    core: false,
    async run(world) {
      const socket = await handshake(world.url, { roots: [(await world.root()).pem], alpn: "http/1.1" }).catch(
        (error: unknown) => {
          throw new Unseen(`it does not speak HTTP/1.1 (${error instanceof Error ? error.message : ""})`);
        },
      );
      const text = await new Promise<string>((resolve) => {
        let read = "";
        socket.on("data", (part: Buffer) => {
          read += part.toString();
        });
        socket.once("close", () => resolve(read));
        socket.write(`GET /v1/nonce HTTP/1.1\r\nhost: ${new URL(world.url).host}\r\nconnection: close\r\n\r\n`);
      });
      must(text.startsWith("HTTP/1.1 200 "), `the answer begins ${JSON.stringify(text.slice(0, 40))}`);
      return "HTTP/1.1 200";
    },
  },
  {
    id: "tls-no-client-certificate",
    section: AGENTS,
    expects: "without a client certificate nothing is served there",
    core: true,
    async run(world) {
      const { url, roots } = await agentsUrl(world);
      return turnedAway(async () => refused(await (await dial(url, { roots })).ask("/v1/commands", {}), "certificate"));
    },
  },
  {
    id: "tls-foreign-certificate",
    section: AGENTS,
    expects: "a client certificate with an agent's name that this control plane did not issue is not served",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const key = await newKey();
      const client = { certificate: await selfSigned(key, speaker.id), key: key.pem };
      const roots = [(await world.root()).pem];
      return turnedAway(async () => {
        const line = await dial(speaker.answer.agents_url, { roots, client });
        return refused(await speaker.polled(line, speaker.newProcess()), "certificate");
      });
    },
  },
  {
    id: "tls-no-redirect",
    section: "The protocol",
    expects: "no answer is a redirect: a path that is not there is `not-found`, on both listeners",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const agents = await speaker.line();
      const seen: string[] = [];
      for (const line of [await world.enrolment(), agents])
        for (const path of ["/", "/v1/nothing"]) seen.push(refused(await line.ask(path), "not-found"));
      return seen.join(", ");
    },
  },
  {
    id: "tls-clock",
    section: LISTENER,
    expects:
      "`GET /v1/nonce` says 32 fresh bytes, the trust domain, and the time in Date, within 120 s of this machine's",
    core: true,
    async run(world) {
      const line = await world.enrolment();
      const answers = [await line.ask("/v1/nonce"), await line.ask("/v1/nonce")];
      const [one, other] = answers.map((answer) => taken(answer, NonceAnswer));
      must(one?.nonce !== other?.nonce, "the same nonce was given twice");
      const { dateMs } = answers[0] ?? { dateMs: null };
      must(dateMs !== null, "the answer has no Date");
      const apart = Math.round(Math.abs(dateMs - Date.now()) / 1000);
      must(apart <= 120, `its clock is ${apart} s from this machine's`);
      return `${one?.trust_domain}, ${apart} s apart`;
    },
  },
];

import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { type ClientHttp2Session, connect } from "node:http2";
import * as x509 from "@peculiar/x509";
import { checkpointText, ed25519Private, ed25519Public, signLogKeyBinding, signNote } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { canonical } from "../../agent/wire/canonical.ts";
import { logOrigin, spiffeId } from "../../agent/wire/names.ts";

/** An agent that only polls, for load: it enrols, hands in the first entry of its log, and holds one long poll after the other. */
export type Place = { readonly enrol: string; readonly agents: string; readonly root: string };
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

type Enrolled = {
  readonly key: string;
  readonly keyObject: KeyObject;
  readonly chain: readonly string[];
  readonly epoch: number;
};

async function enrol(at: Place, cluster: string, token: string): Promise<Enrolled> {
  const pair = (await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"])) as CryptoKeyPair;
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", pair.privateKey), "PRIVATE KEY");
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: pair,
    signingAlgorithm: ECDSA,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: spiffeId("vendor.example", cluster) }]),
    ],
  });
  const body = JSON.stringify({ token, proof: null, nonce: null, csr: Buffer.from(csr.rawData).toString("base64") });
  const answer = await fetch(`https://${at.enrol}/v1/enroll`, {
    method: "POST",
    body,
    tls: { ca: at.root, rejectUnauthorized: true },
    signal: AbortSignal.timeout(120_000),
  });
  const said = (await answer.json()) as { chain: string[]; epoch: number };
  if (answer.status !== 200) throw new Error(`${cluster} cannot enrol: ${JSON.stringify(said)}`);
  return { key, keyObject: createPrivateKey(key), chain: said.chain, epoch: said.epoch };
}

function pem(der: string): string {
  return `-----BEGIN CERTIFICATE-----\n${der.replace(/(.{64})/g, "$1\n").trim()}\n-----END CERTIFICATE-----\n`;
}

function post(session: ClientHttp2Session, path: string, body: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
    let [status, text] = [0, ""];
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.on("data", (chunk: string) => {
      text += chunk;
    });
    stream.once("error", reject);
    stream.once("end", () => resolve({ status, text }));
    stream.end(JSON.stringify(body));
  });
}

function firstEntry(cluster: string, { chain, epoch, keyObject }: Enrolled) {
  const logKey = ed25519Private(randomBytes(32));
  const origin = logOrigin(spiffeId("vendor.example", cluster), epoch);
  const key = ed25519Public(logKey).toString("base64");
  const line = canonical({
    v: 1,
    index: 0,
    time: "2026-11-24T09:14:07.412Z",
    cluster,
    epoch,
    kind: "epoch",
    origin,
    log_keys: [{ key, from: 0 }],
    chain: [...chain],
    signature: signLogKeyBinding(origin, key, 0, keyObject),
    before: null,
    config: `sha256:${"0".repeat(64)}`,
  });
  const tree = emptyTree();
  grow(tree, leafHash(line));
  const text = checkpointText({ origin, size: 1, root: rootOfTree(tree), time: Date.now() });
  return { line, checkpoint: signNote(text, origin, logKey) };
}

/** `polling`: called once it holds its first poll. `answered`: for each that was. `got`: the bytes of each command that came. */
export type Heard = { polling(): void; answered(): void; got(jws: string): void };

/** Joins and polls until the process ends. `hold`: seconds. */
export async function pollForEver(
  at: Place,
  who: { readonly cluster: string; readonly token: string },
  hold: number,
  heard: Heard,
): Promise<void> {
  const enrolled = await enrol(at, who.cluster, who.token);
  const session = connect(`https://${at.agents}`, {
    ca: at.root,
    cert: enrolled.chain.map(pem).join(""),
    key: enrolled.key,
    rejectUnauthorized: true,
  });
  session.on("error", () => undefined);
  const { line, checkpoint } = firstEntry(who.cluster, enrolled);
  const report = await post(session, "/v1/reports", { from: 0, entries: [line], checkpoint, proofs: null });
  if (report.status !== 200) throw new Error(`${who.cluster} cannot report: ${report.text}`);
  const process = Bun.randomUUIDv7();
  const poll = {
    process,
    epoch: enrolled.epoch,
    checkpoint,
    trust_version: 1,
    version: "0.1.0",
    state: "ready",
    reason: "",
    take: 8,
    hold,
  };
  heard.polling();
  for (;;) {
    const { status, text } = await post(session, "/v1/commands", poll);
    if (status !== 200) throw new Error(`${who.cluster}: ${status} ${text}`);
    for (const jws of (JSON.parse(text) as { commands: string[] }).commands) heard.got(jws);
    heard.answered();
  }
}

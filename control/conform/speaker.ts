import { X509Certificate } from "node:crypto";
import { spiffeId } from "../../agent/wire/names.ts";
import {
  EnrolAnswer,
  NonceAnswer,
  PollAnswer,
  type PollRequest,
  RenewAnswer,
  ReportAnswer,
} from "../../agent/wire/protocol.ts";
import { certificatePem } from "../../agent/wire/x509.ts";
import { type Book, newBook } from "./book.ts";
import { must, taken } from "./case.ts";
import { type KeyPair, newKey, requestOf } from "./keys.ts";
import { type Answer, type Client, dial, type Line } from "./line.ts";
import type { World } from "./world.ts";

/** A certificate with its key. */
export type Slot = { readonly key: KeyPair; readonly chain: readonly string[] };
/** An agent that a case plays, step by step, right or wrong. */
export type Speaker = {
  readonly cluster: string;
  readonly id: string;
  readonly epoch: number;
  readonly answer: EnrolAnswer;
  readonly token: string;
  readonly csr: string;
  readonly book: Book;
  slot: Slot;
  /** How many lines were handed in. */
  handed: number;
  /** A process id of its own, as each start draws one. */
  newProcess(): string;
  /** A new connection to the agents' listener by this certificate. */
  line(slot?: Slot): Promise<Line>;
  /** The answer to a poll as it came. `over` changes what an agent would say. */
  polled(line: Line, process: string, over?: Partial<PollRequest>): Promise<Answer>;
  poll(line: Line, process: string, over?: Partial<PollRequest>): Promise<PollAnswer>;
  /** The answer to a report of these lines as it came. */
  reported(line: Line, from: number, lines: readonly string[], checkpoint?: string): Promise<Answer>;
  /** Hands in what has not been handed in, and holds the answer to it. */
  handIn(line: Line): Promise<void>;
  /** Renews over mTLS with a new key; nothing is used yet. */
  renew(line: Line): Promise<Slot>;
};

export type Asked = { readonly line: Line; readonly token: string; readonly csr: string };

export function enrolBy({ line, token, csr }: Asked): Promise<Answer> {
  return line.ask("/v1/enroll", { token, proof: null, nonce: null, csr });
}

export async function trustDomainOf(line: Line): Promise<string> {
  return taken(await line.ask("/v1/nonce"), NonceAnswer).trust_domain;
}

export async function speakerOf(world: World, cluster: string): Promise<Speaker> {
  const enrolment = await world.enrolment();
  const id = spiffeId(await trustDomainOf(enrolment), cluster);
  const key = await newKey();
  const csr = await requestOf(key, id);
  const token = await world.driver.token(cluster, 3600);
  const answer = taken(await enrolBy({ line: enrolment, token, csr }), EnrolAnswer);
  enrolment.close();
  const { epoch, agents_url } = answer;
  const book = newBook({ cluster, epoch, id }, answer.chain, key.key);
  const speaker: Speaker = {
    cluster,
    id,
    epoch,
    answer,
    token,
    csr,
    book,
    slot: { key, chain: answer.chain },
    handed: 0,
    newProcess: () => Bun.randomUUIDv7(),
    line: async (slot = speaker.slot) =>
      dial(agents_url, { roots: [(await world.root()).pem], client: clientOf(slot) }),
    polled: (line, process, over = {}) =>
      line.ask("/v1/commands", {
        process,
        epoch,
        checkpoint: book.head(),
        trust_version: answer.trust.length,
        version: "conform",
        state: "ready",
        reason: "",
        take: 16,
        hold: 0,
        ...over,
      } satisfies PollRequest),
    poll: async (line, process, over) => taken(await speaker.polled(line, process, over), PollAnswer),
    reported: (line, from, lines, checkpoint = book.head()) =>
      line.ask("/v1/reports", { from, entries: lines, checkpoint, proofs: null }),
    async handIn(line) {
      const answer = await speaker.reported(line, speaker.handed, book.lines.slice(speaker.handed));
      const { next } = taken(answer, ReportAnswer);
      must(next === book.lines.length, `${book.lines.length} entries were handed in, and ${next} is wanted next`);
      speaker.handed = next;
    },
    async renew(line) {
      const fresh = await newKey();
      const answer = await line.ask("/v1/renew", { csr: await requestOf(fresh, id) });
      return { key: fresh, chain: taken(answer, RenewAnswer).chain };
    },
  };
  return speaker;
}

function clientOf({ key, chain }: Slot): Client {
  return { key: key.pem, certificate: chain.map((der) => certificatePem(Buffer.from(der, "base64"))).join("") };
}

export function leafOf(chain: readonly string[]): X509Certificate {
  return new X509Certificate(Buffer.from(chain[0] ?? "", "base64"));
}

import { MAX_SEGMENT_BYTES } from "../agent/limits.ts";
import { type Bucket, BucketFailed, type BucketObject } from "./bucket.ts";
import { CallFailed, type Setting } from "./provider.ts";
import { NoAnswer, transport, type WireAnswer, type WireRequest } from "./transport.ts";

/** One object store's way of saying what a Bucket asks; everything that the clouds have in common is in `bucketOf`. */
export type Store = {
  readonly place: string;
  readonly base: URL;
  /** The request with credentials of this moment. Throws CallFailed when there are none. */
  ask(call: StoreCall): Promise<Asked>;
  /** Of an answer with the object, and of one that took it. Another one for each time that the object is put. */
  mark(answer: WireAnswer): string;
  /** The form of a mark. */
  readonly marks: RegExp;
  /** What an answer other than success comes to. `said`: a short stable word of the cloud's, for people. */
  judge(answer: WireAnswer): {
    readonly is: "absent" | "there" | "credentials" | "denied" | "busy" | "other";
    readonly said: string;
  };
  /** How to let the agent read and add there. */
  readonly permit: string;
};
export type StoreCall =
  | { readonly method: "GET"; readonly name: string }
  /** `after`: the mark of the object that is replaced; null: there must be none. */
  | { readonly method: "PUT"; readonly name: string; readonly body: Uint8Array; readonly after: string | null };
export type Asked = {
  readonly request: WireRequest /** The cloud does not take these credentials any more. */;
  forget(): void;
};

const CALL_TIMEOUT_MS = 10_000;
/** A segment takes longer on a slow line. */
const LARGE_BYTES = 1024 * 1024;
const LARGE_CALL_TIMEOUT_MS = 60_000;
/** Of an answer that says what is wrong. */
const MAX_ERROR_BYTES = 16 * 1024;

/** A request to the store with nothing but what each has. `path` holds only what a URL does not escape. */
export function requestTo(
  base: URL,
  method: "GET" | "PUT" | "POST",
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | null,
): WireRequest {
  return {
    protocol: base.protocol as "https:" | "http:",
    hostname: base.hostname,
    port: base.port === "" ? null : Number(base.port),
    method,
    path,
    headers,
    body,
  };
}

class Absent extends Error {}
class There extends Error {}

export function bucketOf({ dial }: Setting, store: Store): Bucket {
  const { place, base } = store;
  const reach = `See that ${base.host} can be reached from this machine.`;

  function failure(answer: WireAnswer, forget: () => void): Error {
    const { is, said } = store.judge(answer);
    switch (is) {
      case "absent":
        return new Absent();
      case "there":
        return new There();
      case "credentials":
        forget();
        return new BucketFailed(
          "unreachable",
          `${said}: the role's credentials`,
          "They are read anew; see that the role is there.",
        );
      case "denied":
        return new BucketFailed(
          "denied",
          `${said}, as it may for a missing object too where the role may not list`,
          store.permit,
        );
      case "busy":
        return new BucketFailed("unreachable", said, reach);
      case "other":
        return new BucketFailed("refused", said, `Compare ${place} with the config.`);
    }
  }

  async function call(asked: StoreCall, max: number, signal: AbortSignal): Promise<WireAnswer> {
    if (signal.aborted) throw new BucketFailed("unreachable", "it did not answer in time", reach);
    const large = Math.max(max, asked.method === "PUT" ? asked.body.length : 0) > LARGE_BYTES;
    const timeoutMs = large ? LARGE_CALL_TIMEOUT_MS : CALL_TIMEOUT_MS;
    const send = transport(dial, { timeoutMs, maxBytes: Math.max(max, MAX_ERROR_BYTES) });
    try {
      const { request, forget } = await store.ask(asked);
      const answer = await send(request, () => undefined);
      if (answer.status === 200 || answer.status === 201) return answer;
      throw failure(answer, forget);
    } catch (error) {
      throw inBucketsWords(error, reach);
    }
  }

  async function get(name: string, max: number, signal: AbortSignal): Promise<BucketObject | "absent"> {
    try {
      const answer = await call({ method: "GET", name }, max, signal);
      if (answer.body.length > max) throw new BucketFailed("too-large", `over ${max} bytes`, "Make it smaller.");
      const mark = store.mark(answer);
      // A write that depends on no mark depends on nothing.
      if (!store.marks.test(mark)) throw new BucketFailed("refused", "its answer has no mark of the object", reach);
      return { bytes: answer.body, mark };
    } catch (error) {
      if (error instanceof Absent) return "absent";
      throw error;
    }
  }

  /** What lies there afterwards: ours of now, of an earlier try that was not heard of, or somebody else's. */
  async function put(name: string, body: Uint8Array, after: string | null, signal: AbortSignal): Promise<string> {
    await call({ method: "PUT", name, body, after }, 0, signal).catch((error: unknown) => {
      // What was to be replaced is gone: its owner took it away.
      if (error instanceof Absent)
        throw new BucketFailed("there", `${place}/${name} was taken away`, "Look at who did.");
      if (!(error instanceof There)) throw error;
    });
    const found = await get(name, MAX_SEGMENT_BYTES, signal);
    // Another write of it is under way, or it went at once: nothing says that other bytes lie there.
    if (found === "absent") throw new BucketFailed("unreachable", `${place}/${name} is not there yet`, reach);
    if (Buffer.compare(found.bytes, body) === 0) return found.mark;
    throw new BucketFailed(
      "there",
      `${place}/${name} holds other bytes than were left there`,
      "Look at who else writes there.",
    );
  }

  return {
    place,
    get,
    async add(name, bytes, signal) {
      await put(name, bytes, null, signal);
    },
    putHead: (bytes, after, signal) => put("log/head", bytes, after, signal),
  };
}

function inBucketsWords(error: unknown, reach: string): unknown {
  if (error instanceof NoAnswer && error.status === "answer-too-long")
    return new BucketFailed("too-large", "the object is too large", "Make it smaller.");
  if (error instanceof NoAnswer) return new BucketFailed("unreachable", `no answer (${error.status})`, reach);
  if (error instanceof CallFailed)
    return new BucketFailed("unreachable", `no credentials of the role (${error.status})`, "reeve doctor says more.");
  return error;
}

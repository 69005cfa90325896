import type { z } from "zod";
import type { Clock } from "../host/host.ts";
import type { Answer, Ask, Line, Network } from "../host/network.ts";
import type { Unreachable, Wait } from "../host/socket.ts";
import { MAX_ANSWER_BYTES, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import { Fault, type FaultCode } from "../wire/protocol.ts";
import { printable } from "./fault.ts";

export type PostOptions = { readonly timeoutSeconds: number; readonly signal?: AbortSignal };
export type Posted<T> =
  | { readonly ok: T }
  | { readonly fault: FaultCode; readonly message: string }
  /** A short reason: "refused", "timeout", "dns", "reset", "tls: …", "answer: …", "aborted". */
  | { readonly unreachable: string };

/** Requests to the agents' listener with the newest certificate. */
export type Session = {
  /**
   * POSTs JSON to `path` ("/v1/commands") and checks the answer with `schema`. Never throws on what others do. A function is asked for the
   * body once there is a connection: a head in it is then never older than the connection, by which a copy's is told.
   */
  post<T>(path: string, body: object | (() => object), schema: z.ZodType<T>, options: PostOptions): Promise<Posted<T>>;
  /** The same by GET, for an answer of at most `maxAnswerBytes`. */
  get<T>(path: string, schema: z.ZodType<T>, maxAnswerBytes: number, options: PostOptions): Promise<Posted<T>>;
  close(): void;
};

/** What a connection is made with; another `id` means another connection. */
export type Credentials = {
  readonly id: string;
  readonly url: string;
  /** PEM. */
  readonly roots: readonly string[];
  readonly client: { readonly certificate: string; readonly key: string };
};
export type SessionDeps = {
  readonly net: Network;
  readonly clock: Clock;
  /** The newest, at each call. */
  credentials(): Credentials;
  /** A request made with these credentials was answered. */
  used(id: string): void;
};
export type OpenSession = Session & {
  /** Lets requests under way end, closes their connection, and only then runs `change`; requests made meanwhile wait. */
  exchange(change: () => void): Promise<void>;
};

export function openSession(deps: SessionDeps): OpenSession {
  let line: { readonly id: string; readonly line: Line } | null = null;
  let connecting: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | null = null;
  const underWay = new Set<Promise<unknown>>();

  // One at a time, so that no connection with an older certificate is still being made beside one with the newer.
  function openLine(wait: Wait): Promise<{ readonly id: string; readonly line: Line } | Unreachable> {
    const opened = connecting.then(async () => {
      const credentials = deps.credentials();
      if (line !== null && line.id === credentials.id && !line.line.closed) return line;
      line?.line.close();
      line = null;
      const made = await deps.net.connect(credentials, wait);
      if ("unreachable" in made) return made;
      line = { id: credentials.id, line: made };
      return line;
    });
    connecting = opened.catch(() => undefined);
    return opened;
  }

  async function send<T>(ask: () => Ask, schema: z.ZodType<T>, options: PostOptions): Promise<Posted<T>> {
    const wait = { timeoutSeconds: options.timeoutSeconds, signal: options.signal };
    const connectWait = {
      timeoutSeconds: Math.min(options.timeoutSeconds, REQUEST_TIMEOUT_SECONDS),
      signal: options.signal,
    };
    const open = await openLine(connectWait);
    if ("unreachable" in open) return open;
    const answer = await open.line.ask(ask(), wait);
    if ("unreachable" in answer) {
      // After silence the connection may be dead; an answer that was refused, or our own abort, says nothing about it.
      if (!/^(?:answer|aborted)/.test(answer.unreachable)) open.line.close();
      return answer;
    }
    const read = readAnswer(answer, schema);
    if (!("unreachable" in read) && !("fault" in read && read.fault === "certificate")) deps.used(open.id);
    return read;
  }

  async function asked<T>(ask: () => Ask, schema: z.ZodType<T>, options: PostOptions): Promise<Posted<T>> {
    while (closed !== null && options.signal?.aborted !== true) {
      await Promise.race([closed, aborted(options.signal)]);
    }
    if (options.signal?.aborted === true) return { unreachable: "aborted" };
    const sent = send(ask, schema, options);
    underWay.add(sent);
    try {
      return await sent;
    } finally {
      underWay.delete(sent);
    }
  }

  return {
    post(path, body, schema, options) {
      const text = (): string => JSON.stringify(typeof body === "function" ? body() : body);
      const ask = () => ({ method: "POST", path, body: text(), maxAnswerBytes: MAX_ANSWER_BYTES }) as const;
      return asked(ask, schema, options);
    },
    get: (path, schema, maxAnswerBytes, options) =>
      asked(() => ({ method: "GET", path, body: null, maxAnswerBytes }), schema, options),
    async exchange(change) {
      while (closed !== null) await closed;
      let open: () => void = () => undefined;
      closed = new Promise((resolve) => {
        open = resolve;
      });
      try {
        const enough = new AbortController();
        // Answered requests cannot arrive late. The server takes an old certificate after the new one for a copy's.
        await Promise.race([
          Promise.allSettled([...underWay]),
          deps.clock.sleep(REQUEST_TIMEOUT_SECONDS * 1000, enough.signal),
        ]);
        enough.abort();
        line?.line.close();
        line = null;
        change();
      } finally {
        closed = null;
        open();
      }
    },
    close() {
      line?.line.close();
      line = null;
    },
  };
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** An answer as its schema has it, the control plane's fault, or why it is neither. */
export function readAnswer<T>(answer: Answer, schema: z.ZodType<T>): Posted<T> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body));
  } catch {
    return { unreachable: "answer: not JSON" };
  }
  if (answer.status !== 200) {
    const fault = Fault.safeParse(value);
    if (!fault.success) return { unreachable: `answer: status ${answer.status}` };
    return { fault: fault.data.code, message: printable(fault.data.message) };
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? { ok: parsed.data } : { unreachable: "answer: schema" };
}

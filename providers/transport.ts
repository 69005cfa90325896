export type { Dial } from "../agent/host/dial.ts";
export type { WireAnswer } from "./answerReader.ts";
export { NoAnswer } from "./noAnswer.ts";
export type { WireRequest } from "./wireRequest.ts";

import type { Dial } from "../agent/host/dial.ts";
import { answerReader, type WireAnswer } from "./answerReader.ts";
import { exchange } from "./exchange.ts";
import { NoAnswer, noAnswer } from "./noAnswer.ts";
import { addressOf, requestBytes, type WireRequest } from "./wireRequest.ts";

/** Called right before a connection is opened, and on the one that stands right before the request's first byte. Throws what the gate throws. */
export type Before = (moment: "connecting" | "writing") => void;
/** For everything together: connection, request and answer. `maxBytes`: of the answer's body. */
export type Limits = { readonly timeoutMs: number; readonly maxBytes: number };

/**
 * Sends one request on a connection of its own, and nothing twice; no redirect is followed. What `before` throws is thrown, and then not
 * one byte of the request left. `roots`: PEM, the only ones that TLS is held to; null: those that the runtime brings. Throws NoAnswer, and TypeError for a request that is none.
 */
export function transport(
  dial: Dial,
  limits: Limits,
  roots: readonly string[] | null = null,
): (request: WireRequest, before: Before) => Promise<WireAnswer> {
  return async (request, before) => {
    const until = performance.now() + limits.timeoutMs;
    before("connecting");
    const bytes = requestBytes(request);
    const to = { ...addressOf(request), tls: request.protocol === "https:", roots };
    const socket = await dial(to, { timeoutSeconds: limits.timeoutMs / 1000 });
    if ("unreachable" in socket) throw noAnswer(socket.unreachable, false);
    try {
      if (socket.destroyed || !socket.writable)
        throw new NoAnswer("reset", false, "the connection ended before it was used");
      before("writing");
      // From here on the other side may have the request.
      return await exchange(socket, bytes, answerReader(request.method, limits.maxBytes), until - performance.now());
    } finally {
      socket.destroy();
    }
  };
}

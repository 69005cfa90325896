import type { Socket } from "node:net";
import { reasonOf } from "../agent/host/socket.ts";
import { type AnswerReader, Malformed, TooLong, type WireAnswer } from "./http1.ts";
import { NoAnswer, noAnswer } from "./noAnswer.ts";

/** Writes the request on a connection that stands, and reads its answer. Throws NoAnswer, always with `bytesLeft`. */
export function exchange(
  socket: Socket,
  request: Uint8Array,
  reader: AnswerReader,
  timeoutMs: number,
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new NoAnswer("timeout", true, "no whole answer in time")),
      Math.max(timeoutMs, 0),
    );
    socket.on("error", (error) => fail(noAnswer(reasonOf(error), true)));
    socket.once("close", () => fail(new NoAnswer("reset", true, "the connection ended before the answer did")));
    socket.once("end", () => fail(new NoAnswer("reset", true, "the connection ended before the answer did")));
    socket.on("data", (chunk: Uint8Array) => {
      try {
        const answer = reader.push(chunk);
        if (answer === null) return;
        clearTimeout(timer);
        resolve(answer);
      } catch (error) {
        if (error instanceof TooLong) fail(new NoAnswer("answer-too-long", true, error.message));
        else if (error instanceof Malformed) fail(new NoAnswer("malformed", true, error.message));
        else fail(error);
      }
      socket.removeAllListeners("data");
      socket.destroy();
    });
    socket.write(request);
  });
}

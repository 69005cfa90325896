import type { Connection } from "../agent/host/dial.ts";
import { reasonOf } from "../agent/host/socket.ts";
import { Malformed } from "./answerHead.ts";
import { type AnswerReader, TooLong, type WireAnswer } from "./answerReader.ts";
import { NoAnswer, noAnswer } from "./noAnswer.ts";

/**
 * Writes the request on a connection that stands, and reads its one answer. Throws NoAnswer, always with `bytesLeft`: from the first line
 * on the other side may have the request. The caller ends the connection.
 */
export function exchange(
  socket: Connection,
  request: Uint8Array,
  reader: AnswerReader,
  timeoutMs: number,
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const late = (): void => fail(new NoAnswer("timeout", true, "no whole answer in time"));
    const timer = setTimeout(late, Math.max(timeoutMs, 0));
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      socket.removeListener("data", onData);
      how();
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    const onData = (chunk: Uint8Array): void => {
      try {
        const answer = reader.push(chunk);
        if (answer !== null) settle(() => resolve(answer));
      } catch (error) {
        fail(refused(error));
      }
    };
    const cut = (): void => fail(new NoAnswer("reset", true, "the connection ended before the answer did"));
    socket.on("data", onData);
    socket.on("error", (error) => fail(noAnswer(reasonOf(error), true)));
    socket.once("end", cut);
    socket.once("close", cut);
    socket.write(request);
  });
}

function refused(error: unknown): unknown {
  if (error instanceof TooLong) return new NoAnswer("answer-too-long", true, error.message);
  if (error instanceof Malformed) return new NoAnswer("malformed", true, error.message);
  return error;
}

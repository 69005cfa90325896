import type { Dial } from "../agent/host/dial.ts";
import { NoAnswer } from "./noAnswer.ts";
import { transport } from "./transport.ts";

/** An answer as text, or why there is none. */
export type Said =
  | { readonly status: number; readonly type: string; readonly text: string }
  | { readonly unreachable: string };

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 16 * 1024;

/**
 * POSTs text by the strict client, for what is no cloud: a witness. `roots`: PEM, the only ones that its certificate may lead to; null for
 * those that the runtime brings. Never throws on what others do.
 */
export async function askText(dial: Dial, to: URL, roots: readonly string[] | null, body: string): Promise<Said> {
  const send = transport((place, wait) => dial({ ...place, roots }, wait), {
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
  });
  try {
    const answer = await send(
      {
        protocol: to.protocol === "http:" ? "http:" : "https:",
        hostname: to.hostname,
        port: to.port === "" ? null : Number(to.port),
        method: "POST",
        path: to.pathname,
        headers: { "Content-Type": "text/plain; charset=utf-8" },
        body: Buffer.from(body, "utf8"),
      },
      () => undefined,
    );
    const text = Buffer.from(answer.body).toString("utf8");
    return { status: answer.status, type: answer.headers["content-type"] ?? "", text };
  } catch (error) {
    if (error instanceof NoAnswer) return { unreachable: error.status };
    throw error;
  }
}

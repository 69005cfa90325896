/** What Google's clients take of google-gax, without gRPC: it is only ever used by HTTP/1.1. Their log, which a variable turns on, says nothing. */
export * from "google-gax/fallback";

export const loggingUtils = { log: () => ({ info() {} }) };

export function decodeAnyProtosInArray() {
  throw new Error("an error of Google's own form reached its client: calls are judged before that");
}

import { bytesOf, must, type Parser } from "./parser.ts";

/** Parsers that are wrong on purpose: what the fuzzer must find. */
const corpus = [bytesOf("{}"), bytesOf("abc")];
export const PARSERS: readonly Parser[] = [
  {
    name: "throws",
    maxBytes: 100,
    corpus,
    hold: (input) => {
      if (input[0] === 0x20) throw new TypeError("a space");
      return "taken";
    },
  },
  {
    name: "forgets",
    maxBytes: 100,
    corpus,
    hold: (input) => {
      must(input.length < 50, "it forgets what is long");
      return "taken";
    },
  },
  {
    name: "hangs",
    maxBytes: 100,
    corpus,
    hold: (input) => {
      // Until somebody ends the thread; with an end, so that nothing spins for ever when nobody does.
      const until = performance.now() + 60_000;
      while (input.length === 0 && performance.now() < until);
      return "taken";
    },
  },
  { name: "good", maxBytes: 100, corpus, hold: () => "taken" },
];

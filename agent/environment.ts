/**
 * A tripwire (DESIGN section 10): names in the environment that can change what runs before or beneath us. What ran before main cannot be
 * undone from inside; the unit's empty environment is the control.
 */
const FORBIDDEN = /^(?:BUN_|NODE_|LD_|SSL_|AWS_|GOOGLE_|AZURE_)|^(?:.*_)?PROXY$/i;

/** Names off the list, from the text of /proc/self/environ: a preload can hide them from `process.env`, not from there. */
export function forbiddenNames(environ: string): string[] {
  return environ
    .split("\0")
    .map((pair) => pair.split("=")[0] ?? "")
    .filter((name) => FORBIDDEN.test(name))
    .sort();
}

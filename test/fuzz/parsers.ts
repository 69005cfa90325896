import { BINARY } from "./binary.ts";
import { LOGGED } from "./logged.ts";
import { MANIFESTS } from "./manifests.ts";
import type { Parser } from "./parser.ts";
import { PROVEN } from "./proven.ts";
import { SIGNED } from "./signed.ts";
import { WRITTEN } from "./yaml.ts";

/** Every parser that bytes from outside reach. */
export const PARSERS: readonly Parser[] = [...SIGNED, ...WRITTEN, ...LOGGED, ...BINARY, ...PROVEN, ...MANIFESTS];

import { readFileSync } from "node:fs";
import { z } from "zod";
import { strictYaml } from "../../policy/yaml.ts";
import { Complaint } from "../terminal.ts";
import { STS_PLACES, type StsPlaces } from "./awsPlaces.ts";

/** Where platforms are asked. Fixed in the code; `serve --proofs FILE` adds to it, for sovereign clouds and for tests. */
export type ProofPlaces = { readonly aws: StsPlaces };
export const PLACES: ProofPlaces = { aws: STS_PLACES };

const Host = z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/, "a host's name, in lower case");
const At = z.string().regex(/^[a-z0-9.-]{1,253}:\d{1,5}$/, "HOST:PORT");
const Path = z.string().startsWith("/").max(4096);

/**
 *     aws:
 *       sts:
 *         REGION: { partition: aws, host: sts.REGION.amazonaws.com, at: 127.0.0.1:8443, ca: /PATH.pem }
 *
 * `host`: what the proof is signed for. `at`, where it is asked, and `ca`, what its certificate must lead to, may be left out: then it is `host`, and the system's CAs.
 */
const ProofsFile = z.strictObject({
  aws: z
    .strictObject({
      sts: z.record(
        z.string().regex(/^[a-z0-9-]{1,32}$/, "a region"),
        z.strictObject({
          partition: z.string().regex(/^[a-z-]{1,32}$/),
          host: Host,
          at: At.optional(),
          ca: Path.optional(),
        }),
      ),
    })
    .optional(),
});

/** Reads FILE; throws a Complaint (exit 3) when it is not of its form. */
export function readPlaces(file: string): ProofPlaces {
  const cannot = `use ${file}`;
  const yaml = strictYaml(readFileSync(file, "utf8"));
  const [first] = yaml.faults;
  if (first !== undefined)
    throw new Complaint(3, cannot, `line ${yaml.positionOf(first.offset).line}: ${first.message}`, HINT);
  const parsed = ProofsFile.safeParse(yaml.value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Complaint(3, cannot, `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not of its form"}`, HINT);
  }
  const sts = Object.entries(parsed.data.aws?.sts ?? {}).map(
    ([region, { partition, host, at, ca }]) =>
      [region, { partition, host, at: at ?? host, ca: ca === undefined ? null : readFileSync(ca, "utf8") }] as const,
  );
  return { aws: new Map([...PLACES.aws, ...sts]) };
}

const HINT = "docs/OPERATIONS.md shows the form, under `admit`.";

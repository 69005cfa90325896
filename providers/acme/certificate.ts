import { acmeAuthority, challengeName } from "../../policy/acme.ts";
import type { DnsArgs } from "../../policy/asked.ts";
import { DELIVERY_OPERATIONS, deliveryPlaces, FOUND_OPERATIONS, foundPlaces } from "../deliver.ts";
import type { ActionProvider, AuthorityState, Errand, Gate, JudgedCertificateArgs, RecordState } from "../provider.ts";
import { type AcmeContext, acmeCalls } from "./call.ts";
import { argsOf, type Proving, takeAway } from "./challenge.ts";
import { issue } from "./issue.ts";
import { MAX_ACME_NAMES } from "./limits.ts";
import { placesOf } from "./link.ts";
import { noteBook } from "./note.ts";
import { ACME_OPERATIONS } from "./operations.ts";
import { becameOf } from "./reconcile.ts";

type Args = JudgedCertificateArgs;
type Dns = ActionProvider<DnsArgs, RecordState>;

/** One authority and one command: null where the config has no such authority. */
export type Asked = {
  readonly context: AcmeContext;
  readonly zone: string;
  readonly challenges: ReadonlyMap<string, string>;
};

/** The names' own challenge records. A name whose record's would be too long has none, and is refused when it is read. */
function challengesOf({ names }: Args): ReadonlyMap<string, string> {
  return new Map(
    names.flatMap((name) => {
      const challenge = challengeName(name);
      return challenge === null ? [] : [[name, challenge] as const];
    }),
  );
}

/**
 * Certificates by ACME (RFC 8555), each name proven by a TXT record that is put in the zone by the cloud's own DNS and taken away again. What the
 * gate lets through beside the authority are the challenge records of the judged names in that one zone, nothing else.
 */
export function acmeCertificate(
  contextOf: (name: string) => AcmeContext | null,
  dns: Dns,
): ActionProvider<Args, AuthorityState> {
  const askedOf = (args: Args): Asked | null => {
    const authority = acmeAuthority(args.authority);
    const context = authority === null ? null : contextOf(authority.name);
    return authority === null || context === null
      ? null
      : { context, zone: authority.zone, challenges: challengesOf(args) };
  };
  const missing = ({ authority }: Args) => ({
    missing: `the config has no authority ${authority}; it is written acme:NAME/zone/ZONE`,
  });
  const provingOf = ({ zone }: Asked, gate: Gate, errand: Errand): Proving => ({ dns, gate, errand, zone });
  return {
    operations: [...ACME_OPERATIONS, ...DELIVERY_OPERATIONS, ...FOUND_OPERATIONS],
    places(args) {
      const asked = askedOf(args);
      return asked === null
        ? []
        : [...placesOf(asked.context.acme), ...deliveryPlaces(args.deliver), ...foundPlaces(args.deliver)];
    },
    beside(args) {
      const asked = askedOf(args);
      if (asked === null) return [];
      return [...asked.challenges.values()].map((name) => ({
        table: dns.operations,
        places: dns.places(argsOf(asked.zone, name)),
        resources: [`${asked.zone}/${name}`],
      }));
    },
    async describe(gate, args, errand) {
      const asked = askedOf(args);
      if (asked === null) return missing(args);
      if (args.names.length > MAX_ACME_NAMES) return { unreadable: "too-many-names" };
      for (const name of args.names) {
        const challenge = asked.challenges.get(name);
        if (challenge === undefined) return { unreadable: "name-too-long" };
        const seen = await dns.describe(gate, argsOf(asked.zone, challenge), errand);
        if (!("state" in seen)) return seen;
      }
      await acmeCalls(asked.context, gate, errand, args.authority).directory();
      return { state: { subject: asked.context.acme.directory } };
    },
    async execute(gate, args, found, errand) {
      const asked = askedOf(args);
      if (asked === null) throw new Error("an authority that was read is not in the config");
      return issue({ asked, proving: provingOf(asked, gate, errand), args, found });
    },
    async reconcile(gate, args, _found, errand) {
      const asked = askedOf(args);
      return becameOf(asked === null ? null : { asked, proving: provingOf(asked, gate, errand), args });
    },
    async clear(gate, args, errand) {
      const asked = askedOf(args);
      if (asked === null) return;
      const book = noteBook(asked.context);
      const note = book.read(errand.id);
      for (const record of note?.records ?? []) await takeAway(provingOf(asked, gate, errand), record);
    },
  };
}

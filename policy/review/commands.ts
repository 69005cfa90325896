import { asBits, first } from "./certificates.ts";
import { type Consent, isAlive, isGiven, peopleFor, type Takes, UNASKED } from "./consent.ts";
import { type Difference, type Example, exampleOf, idsOf, type Piece } from "./difference.ts";
import { bitsIn } from "./extents.ts";
import { type Ground, type Held, liesIn } from "./ground.ts";
import type { Point } from "./point.ts";
import { type Budget, partition } from "./region.ts";
import { saidTogether, whatOf } from "./what.ts";

/** What one rule of a permits and b does not: commands for which b has no rule, and commands for which b's rules ask more of people. */

type Beside = { readonly beside: readonly Held[]; readonly pieces: Piece[] };

function holdsPoint(ground: Ground, pieces: readonly Piece[], { situation, now }: Point): boolean {
  return pieces.some(({ space, region }) => liesIn(ground, space, region, situation, now));
}

/** An example in the first piece that has one: its time is the first that the piece's windows allow. */
export function exampleIn(ground: Ground, pieces: readonly Piece[], consent: Consent): Example | null {
  for (const { space, region } of pieces) {
    const situation = space.sample(region);
    if (situation === null) continue;
    const now = ground.times.sample(first(asBits(region["when"]))).from;
    return exampleOf(ground, { situation, now, consent });
  }
  return null;
}

function commandDifference(ground: Ground, held: Held, pieces: readonly Piece[]): Difference {
  return {
    kind: "command",
    about: { action: ground.action, resource: ground.resource },
    rule: held.rule.id,
    together: [],
    beside: [],
    level: held.takes === null ? "allowed" : "waits",
    what: whatOf(ground, pieces),
    example: exampleIn(ground, pieces, UNASKED),
    covers: (point) => holdsPoint(ground, pieces, point),
  };
}

/** People and an age with which a has enough and none of b, one of which still takes approvals; null when there are none. */
function otherPeople(takes: Takes, beside: readonly Takes[]): Consent | null | "unknown" {
  let unknown = false;
  for (const age of [0, ...beside.map(({ within }) => within)].sort((a, b) => a - b)) {
    const alive = beside.filter((other) => age < other.within);
    if (age >= takes.within || alive.length === 0) continue;
    const keys = peopleFor([takes], alive);
    if (keys === "unknown") unknown = true;
    else if (keys !== null) return { keys, age };
  }
  return unknown ? "unknown" : null;
}

/** Where b permits the same once somebody approved: whether a takes fewer or other people, or none, and whether for longer. */
function consentDifferences(ground: Ground, held: Held, { beside, pieces }: Beside): readonly Difference[] {
  const takes = beside.flatMap((other) => (other.takes === null ? [] : [other.takes]));
  if (takes.length < beside.length) return [];
  const common = {
    about: { action: ground.action, resource: ground.resource },
    rule: held.rule.id,
    together: [],
    beside: idsOf(beside),
    what: whatOf(ground, pieces),
  };
  const found: Difference[] = [];
  const own = held.takes;
  const consent = own === null ? UNASKED : otherPeople(own, takes);
  if (consent !== null) {
    found.push({
      ...common,
      kind: "consent",
      level: "allowed",
      example: consent === "unknown" ? null : exampleIn(ground, pieces, consent),
      covers: (point) =>
        holdsPoint(ground, pieces, point) &&
        isGiven(own, point.consent) &&
        !takes.some((one) => isGiven(one, point.consent)) &&
        (own === null || takes.some((one) => isAlive(one, point.consent))),
    });
  }
  const longest = Math.max(...takes.map(({ within }) => within));
  if (own !== null && own.within > longest) {
    found.push({
      ...common,
      kind: "longer",
      level: "waits",
      example: exampleIn(ground, pieces, { keys: new Set(), age: longest }),
      covers: (point) =>
        holdsPoint(ground, pieces, point) &&
        isAlive(own, point.consent) &&
        !takes.some((one) => isAlive(one, point.consent)),
    });
  }
  return found;
}

export function commandDifferences(ground: Ground, budget: Budget): readonly Difference[] {
  return ground.a.held.flatMap((held) => {
    const alone: Piece[] = [];
    const shared = new Map<bigint, Beside>();
    for (const [at, space] of ground.spaces.entries()) {
      const region = held.regions[at];
      if (region === null || region === undefined) continue;
      const others = ground.b.held.map(({ regions }) => regions[at] ?? null);
      for (const leaf of partition(region, others, space.possible, budget)) {
        const piece = { space, region: leaf.region };
        const group = shared.get(leaf.held);
        if (leaf.held === 0n) alone.push(piece);
        else if (group !== undefined) group.pieces.push(piece);
        else {
          const beside = bitsIn(leaf.held).flatMap((nth) => ground.b.held[nth] ?? []);
          shared.set(leaf.held, { beside, pieces: [piece] });
        }
      }
    }
    return [
      ...saidTogether(ground, alone).map((pieces) => commandDifference(ground, held, pieces)),
      ...[...shared.values()].flatMap((group) => consentDifferences(ground, held, group)),
    ];
  });
}

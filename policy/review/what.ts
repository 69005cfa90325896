import { asBits } from "./certificates.ts";
import type { Piece } from "./difference.ts";
import type { Ground } from "./ground.ts";
import type { Space } from "./space.ts";

/** Pieces in words. What is the same for several changes and types of DNS is said once. */

type Said = { readonly of: Space["of"]; readonly rest: string };

function list(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`;
}

function grouped<T>(all: readonly T[], key: (one: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(key(one));
    if (group === undefined) groups.set(key(one), [one]);
    else group.push(one);
  }
  return [...groups.values()];
}

/** First the changes of one type come together, then the types with the same changes. */
function together(said: readonly Said[]): readonly string[] {
  const byType = grouped(said, ({ of, rest }) => `${of?.type} ${rest}`).map((group) => ({
    changes: list([...new Set(group.map(({ of }) => of?.change ?? ""))]),
    type: group[0]?.of?.type ?? "",
    rest: group[0]?.rest ?? "",
  }));
  return grouped(byType, ({ changes, rest }) => `${changes} ${rest}`).map(
    (group) => `${group[0]?.changes} ${list(group.map(({ type }) => type))} ${group[0]?.rest}`,
  );
}

function sayOf(ground: Ground, { space, region }: Piece): Said {
  const when = ground.times.words(asBits(region["when"]));
  return { of: space.of, rest: `${space.words(region)}${when === "" ? "" : `, ${when}`}` };
}

export function whatOf(ground: Ground, pieces: readonly Piece[]): readonly string[] {
  const said = pieces.map((piece) => sayOf(ground, piece));
  const plain = said.filter(({ of }) => of === null).map(({ rest }) => rest);
  return [...new Set(plain), ...together(said.filter(({ of }) => of !== null))];
}

/** Pieces that are said in one sentence. */
export function saidTogether(ground: Ground, pieces: readonly Piece[]): readonly (readonly Piece[])[] {
  const said = pieces.map((piece) => ({ piece, ...sayOf(ground, piece) }));
  const byType = grouped(said, ({ of, rest }) => `${of?.type} ${rest}`).map((group) => ({
    pieces: group.map(({ piece }) => piece),
    key: `${group.map(({ of }) => of?.change).join()} ${group[0]?.rest}`,
  }));
  return grouped(byType, ({ key }) => key).map((group) => group.flatMap(({ pieces: some }) => some));
}

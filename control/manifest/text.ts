import { checksumOf, type Image } from "../../agent/wire/manifest.ts";
import { printable, table } from "../terminal.ts";
import type { Compared } from "./compare.ts";
import type { Changed, Difference } from "./diff.ts";
import type { ManifestFile } from "./file.ts";
import type { Holding } from "./inventory.ts";
import { type GroupMatch, holdsTo } from "./matches.ts";
import { readPurl } from "./purl.ts";
import type { Unread } from "./rootfs/scan.ts";

/** A manifest for a person: what it is, where it runs, its images and how many packages of which kind. `all`: every package. */
export function manifestText({ manifest, digest, signers }: ManifestFile, all: boolean): string {
  const { content, parameters, says } = manifest;
  const { cloud, account, region } = parameters.place;
  const head = [
    ["manifest", says],
    ["digest", digest],
    ["checksum", checksumOf(content)],
    ["cluster", `${parameters.cluster} (${cloud} ${account} ${region})`],
    ["agent", content.agent === null ? "not said" : `${content.agent.version} ${content.agent.digest}`],
    ["policy", parameters.policy ?? "not said"],
    ["signed by", `${signers.join(", ") || "nobody"} (not checked here: manifest verify)`],
  ];
  const groups = Object.entries(parameters.groups).map(([name, { image, count }]) => `  ${name}: ${count} of ${image}`);
  const images = content.images.flatMap((image) => imageLines(image, all));
  return table(head, [...(groups.length === 0 ? [] : ["groups", ...groups]), ...images]);
}

function imageLines({ name, digest, files, packages }: Image, all: boolean): string[] {
  const kinds = new Map<string, number>();
  for (const purl of packages) {
    const type = readPurl(purl)?.type ?? "other";
    kinds.set(type, (kinds.get(type) ?? 0) + 1);
  }
  const counts = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, count]) => `${count} ${type}`);
  return [
    `image ${name} ${digest}`,
    `  files: ${files ?? "no list of them"}`,
    `  packages: ${counts.join(", ") || "none"}`,
    ...(all ? packages.map((purl) => `  ${purl}`) : []),
  ];
}

export function differenceText(of: Difference): string {
  const lines: string[] = [];
  if (of.agent !== null) lines.push(`agent: ${of.agent[0] ?? "not said"} -> ${of.agent[1] ?? "not said"}`);
  for (const image of of.images) {
    lines.push(`image ${image.image}: ${image.from ?? "not there"} -> ${image.to ?? "not there"}`);
    if (image.files !== null) lines.push(`  files: ${image.files.map((digest) => digest ?? "no list").join(" -> ")}`);
    lines.push(...changedLines(image.packages));
  }
  for (const { path, from, to } of of.parameters)
    lines.push(`parameter ${path}: ${from ?? "not there"} -> ${to ?? "not there"}`);
  lines.push(of.same ? `the same content: ${of.checksums[0]}` : `checksums ${of.checksums[0]} and ${of.checksums[1]}`);
  return lines.map((line) => `${printable(line)}\n`).join("");
}

export function changedLines(changed: readonly Changed[]): string[] {
  return changed.map(({ package: name, from, to }) => {
    if (from.length === 0) return `  + ${name} ${to.join(", ")}`;
    return to.length === 0 ? `  - ${name} ${from.join(", ")}` : `  ~ ${name} ${from.join(", ")} -> ${to.join(", ")}`;
  });
}

export function holdersText(rows: readonly Holding[]): string {
  if (rows.length === 0) return "no cluster\n";
  const clusters = new Set(rows.map(({ cluster }) => cluster)).size;
  return table(
    [["CLUSTER", "IMAGE", "PACKAGE"], ...rows.map(({ cluster, image, purl }) => [cluster, image, purl])],
    [`${clusters} cluster${clusters === 1 ? "" : "s"}`],
  );
}

/** A line a file that claims to name packages and does not parse. */
export function unreadText(image: string, unread: readonly Unread[]): string {
  return unread
    .map(({ path, why }) => printable(`warning: ${image}: ${path} does not say which package it is of: ${why}`))
    .map((line) => `${line}\n`)
    .join("");
}

const MAX_FILES_SHOWN = 50;

/** What `manifest verify` found. `signed`: the verifier keys that signed it. */
export function verifiedText(signed: readonly string[], roots: readonly Compared[]): string {
  const names = signed.map((key) => key.split("+")[0]).join(", ");
  const lines = [signed.length > 0 ? `signed by ${names}` : "signed by none of these signers"];
  return [...lines, ...roots.flatMap(comparedLines)].map((line) => `${printable(line)}\n`).join("");
}

function comparedLines(root: Compared): string[] {
  const { image, same, packages, files } = root;
  const whole = root.uncompared === null ? "is what it says" : "has the libraries that it says";
  const lines = [`${image} ${same ? whole : `is not what it says: ${faultText(root)}`}`];
  if (root.uncompared !== null) lines.push(`  its files were not compared: ${root.uncompared}`);
  lines.push(...changedLines(packages), ...(files ?? []).slice(0, MAX_FILES_SHOWN).map((line) => `  file ${line}`));
  if (files !== null && files.length > MAX_FILES_SHOWN) lines.push(`  … and ${files.length - MAX_FILES_SHOWN} files`);
  if (root.same_files === false && files === null)
    lines.push("  give --files, the folder of `create --files`, to see which");
  return lines;
}

function faultText({ same_files: files, digest, packages }: Compared): string {
  const parts = [
    ...(packages.length > 0 ? ["it has other libraries"] : []),
    ...(files === false ? [`its files have ${digest}`] : []),
  ];
  return parts.join(", and ");
}

/** How a cluster's groups compare with its manifest. `at`: when its agent said so. */
export function matchedText(cluster: string, digest: string, at: string, found: readonly GroupMatch[]): string {
  const lines = [`${cluster} ${holdsTo(found) ? "is" : "is not"} what its manifest says (${digest}), as of ${at}`];
  for (const { group, is, wanted, found: there, count, packages } of found) {
    const counts = count[0] === count[1] ? "" : `, ${count[1] ?? "?"} machines where it says ${count[0] ?? "none"}`;
    const images = is === "other image" ? `: ${there ?? "different ones"}, not ${wanted ?? "one that it names"}` : "";
    lines.push(`  ${group}: ${is}${images}${counts}`);
    if (is === "other image" && packages === null) lines.push("    what is in that image nobody has said here");
    lines.push(...changedLines(packages ?? []).map((line) => `  ${line}`));
  }
  return lines.map((line) => `${printable(line)}\n`).join("");
}

import { CreateLaunchTemplateVersionCommand, DescribeLaunchTemplateVersionsCommand } from "@aws-sdk/client-ec2";
import { CallFailed } from "../provider.ts";
import { sortedJson } from "../sortedJson.ts";
import type { AwsCalls } from "./call.ts";
import type { Template } from "./group.ts";
import { MAX_PAGES } from "./limits.ts";

/** One version of a launch template, which never changes once it is made. */
export type Version = {
  readonly template: string;
  readonly number: string;
  /** Null: it names none, or one that Systems Manager would look up. */
  readonly image: string | null;
  readonly description: string;
  /** All that it says of a machine but the image: two with the same text differ in their image alone. */
  readonly rest: string;
  /** Of one that a command made: the number of the version that it is a copy of; null: made by somebody else. */
  readonly of: string | null;
};

const IMAGE = /^ami-[0-9a-f]{8,17}$/;
export function isImage(text: string): boolean {
  return IMAGE.test(text);
}

/** What a version of the command's own says of itself: it is found again by it, whatever was lost. At most 255 characters. */
function describedBy(command: string, source: string): string {
  return `reeve ${command} from ${source}`;
}
const SOURCE = /^reeve [0-9a-f-]{36} from (\d{1,9})$/;

/** The version that a group launches from. Throws CallFailed, also when there is none. */
export async function versionAt(calls: AwsCalls, { id, version }: Template): Promise<Version> {
  const [found] = await versions(calls, id, { Versions: [version] });
  if (found?.number !== version) throw malformed("another version than was asked for");
  return found;
}

/**
 * The versions that say that this command made them, of those that are newer than the group's or are it. Whoever may make a version may have
 * one say so: what it holds is to be compared. Throws CallFailed.
 */
export async function claimed(
  calls: AwsCalls,
  command: string,
  { id, version }: Template,
): Promise<readonly Version[]> {
  const found = await versions(calls, id, { MinVersion: version });
  return found.filter(({ description, of }) => of !== null && description === describedBy(command, of));
}

/** Whether it is a copy of the base with this image, and nothing else another. */
export function isCopy(version: Version, base: Version, image: string): boolean {
  return version.of === base.number && version.image === image && version.rest === base.rest;
}

/**
 * A copy of a version with another image. The command's id is its token, so that it is one version however often it is sent. Throws CallFailed
 * and Halted.
 */
export async function makeVersion(calls: AwsCalls, command: string, base: Version, image: string): Promise<Version> {
  const input = {
    LaunchTemplateId: base.template,
    SourceVersion: base.number,
    LaunchTemplateData: { ImageId: image },
    VersionDescription: describedBy(command, base.number),
    ClientToken: command,
  };
  const answer = await calls.send("ec2", (client) => client.send(new CreateLaunchTemplateVersionCommand(input)));
  const made = versionOf(base.template, answer.LaunchTemplateVersion ?? {}, "unknown");
  if (!isCopy(made, base, image)) throw malformed("the version that was made is another", "unknown");
  known(calls, made);
  return made;
}

/** From now on the gate lets the group go to it. */
export function known(calls: AwsCalls, { template, number }: Version): void {
  calls.known.add(`${template}:${number}`);
}

async function versions(
  calls: AwsCalls,
  template: string,
  which: { readonly Versions: string[] } | { readonly MinVersion: string },
): Promise<readonly Version[]> {
  const all: Version[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = { LaunchTemplateId: template, ...which, ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await calls.send("ec2", (client) => client.send(new DescribeLaunchTemplateVersionsCommand(input)));
    all.push(...(answer.LaunchTemplateVersions ?? []).map((one) => versionOf(template, one, "none")));
    token = answer.NextToken;
    if (token === undefined || token === "") return all;
  }
  throw new CallFailed("too-many-pages", `the template's versions were not on ${MAX_PAGES} pages`, "none");
}

type Said = {
  readonly LaunchTemplateId?: string | undefined;
  readonly VersionNumber?: number | undefined;
  readonly VersionDescription?: string | undefined;
  readonly LaunchTemplateData?: { readonly ImageId?: string | undefined } | undefined;
};

function versionOf(template: string, said: Said, effect: CallFailed["effect"]): Version {
  const { LaunchTemplateId: id, VersionNumber: number, VersionDescription: description = "" } = said;
  if (id !== template || !Number.isSafeInteger(number))
    throw malformed("what was described is another template", effect);
  const { ImageId: image = "", ...rest } = said.LaunchTemplateData ?? {};
  const [, of = null] = SOURCE.exec(description) ?? [];
  return {
    ...{ template, number: String(number), description, of },
    image: isImage(image) ? image : null,
    rest: sortedJson(rest),
  };
}

function malformed(words: string, effect: CallFailed["effect"] = "none"): CallFailed {
  return new CallFailed("malformed", words, effect);
}

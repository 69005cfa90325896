import { MAX_SHARED_GROUPS } from "../../../agent/limits.ts";
import { digestOf } from "../../../agent/wire/envelope.ts";
import { ManifestAnswer, SharedAnswer } from "../../../agent/wire/protocol.ts";
import { started } from "../book.ts";
import { type Case, must, refused, taken, Unseen } from "../case.ts";
import { manifestFor } from "../manifest.ts";

const SECTION = "Agents' listener (client certificate required)";
const group = (name: string) => ({ group: name, image: "image-1", count: 3, healthy: 3 });

export const OPTIONAL_CASES: readonly Case[] = [
  {
    id: "optional-witness",
    section: SECTION,
    expects: "`/v1/witness` cosigns a head of what was handed in, or is not there (`not-available`, `not-found`)",
    core: false,
    async run(world) {
      const speaker = await world.begun();
      const line = await speaker.line();
      const checkpoint = speaker.book.head();
      const answer = await line.ask("/v1/witness", { checkpoint, receipts: null, refused: [] });
      if (answer.status !== 200) throw new Unseen(refused(answer, "not-available", "not-found"));
      const ahead = speaker.book.add(started(speaker.newProcess()));
      const later = await line.ask("/v1/witness", {
        checkpoint: speaker.book.head(ahead + 1),
        receipts: null,
        refused: [],
      });
      return `cosigned; ${refused(later, "unavailable")} of one that is ahead`;
    },
  },
  {
    id: "optional-shared",
    section: SECTION,
    expects: "`/v1/shared` takes no policy that no entry names (`conflict`), or is not there (`not-found`)",
    core: false,
    async run(world) {
      const speaker = await world.begun();
      const text = "version: 1\n";
      const asked = { kind: "policy", digest: digestOf(text), text };
      const answer = await (await speaker.line()).ask("/v1/shared", asked);
      const seen = refused(answer, "conflict", "not-found", "not-available");
      if (seen !== "409 conflict") throw new Unseen(seen);
      return seen;
    },
  },
  {
    id: "optional-inventory",
    section: SECTION,
    expects:
      "`/v1/shared` takes an inventory while the newest policy entry names its policy in force, and no other (`conflict`), or knows none (`malformed`, `not-found`)",
    core: false,
    async run(world) {
      const speaker = await world.begun();
      const line = await speaker.line();
      const [policy, other] = [digestOf("one"), digestOf("other")];
      const share = (by: string, groups: readonly object[] | null) =>
        line.ask("/v1/shared", { kind: "inventory", policy: by, groups });
      const names = async (by: string, code: "policy.tests-fail" | null): Promise<void> => {
        speaker.book.add({ kind: "policy", policy: by, revision: 1, code });
        await speaker.handIn(line);
      };
      const seen = refused(await share(policy, [group("a")]), "conflict", "malformed", "not-found", "not-available");
      if (seen !== "409 conflict") throw new Unseen(seen);
      await names(policy, null);
      taken(await share(policy, [group("a"), { ...group("b"), image: null }]), SharedAnswer);
      refused(await share(other, [group("a")]), "conflict");
      const many = Array.from({ length: MAX_SHARED_GROUPS + 1 }, (_, n) => group(`g${n}`));
      refused(await share(policy, many), "malformed");
      refused(await share(policy, [{ ...group("a"), packages: [] }]), "malformed");
      taken(await share(policy, null), SharedAnswer);
      await names(policy, "policy.tests-fail");
      refused(await share(policy, [group("a")]), "conflict");
      await names(other, null);
      return `taken; ${refused(await share(policy, [group("a")]), "conflict")} of another policy`;
    },
  },
  {
    id: "optional-manifest",
    section: SECTION,
    expects:
      "`GET /v1/manifests/HEX` brings a manifest of the agent's own cluster byte for byte; another cluster's, and one that is not there, are `not-found`",
    core: false,
    async run(world) {
      const [own, other] = [await world.begun(), await world.begun()];
      const { hex, note } = manifestFor(own.cluster);
      const [line, elsewhere] = [await own.line(), await other.line()];
      refused(await line.ask(`/v1/manifests/${hex}`), "not-found");
      await world.driver.manifest(own.cluster, note);
      const answer = taken(await line.ask(`/v1/manifests/${hex}`), ManifestAnswer);
      must(answer.note === note, "the note is not as it was signed");
      return `${note.length} bytes; ${refused(await elsewhere.ask(`/v1/manifests/${hex}`), "not-found")} for another`;
    },
  },
];

import { ReportAnswer } from "../../../agent/wire/protocol.ts";
import { type Case, must, refused, taken } from "../case.ts";
import { handshake } from "../line.ts";
import { trustDomainOf } from "../speaker.ts";

/** Over what any control plane takes, as PROTOCOL.md bounds it. */
const TOO_LARGE_BYTES = 9 * 1024 * 1024;

export const LIMIT_CASES: readonly Case[] = [
  {
    id: "limit-body",
    section: "Faults",
    expects: "a body of 9 MiB is `too-large`, on both listeners",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const body = " ".repeat(TOO_LARGE_BYTES);
      const seen = refused(await (await world.enrolment()).ask("/v1/enroll", body), "too-large");
      refused(await (await speaker.line()).ask("/v1/reports", body), "too-large");
      return `${seen}, on both`;
    },
  },
  {
    id: "limit-large-report",
    section: "Agents' listener (client certificate required)",
    expects: "a report as large as an agent makes one, 512 KiB of entries, is taken",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const why = "x".repeat(4000);
      for (let bytes = 0; bytes < 512 * 1024; bytes += 4200) speaker.book.add({ kind: "stopped", why });
      const lines = speaker.book.lines.slice(1);
      const answer = await speaker.reported(await speaker.line(), 1, lines);
      const { next } = taken(answer, ReportAnswer);
      must(next === speaker.book.lines.length, `${next} is wanted next`);
      return `${lines.length} entries`;
    },
  },
  {
    id: "limit-slow-client",
    section: "Enrolment listener (server TLS, no client certificate)",
    expects: "twenty connections that say nothing keep nobody from being answered",
    core: true,
    async run(world) {
      const roots = [(await world.root()).pem];
      const silent = await Promise.all(Array.from({ length: 20 }, () => handshake(world.url, { roots })));
      try {
        for (const socket of silent) socket.on("error", () => undefined);
        return `answered as ${await trustDomainOf(await world.enrolment())}`;
      } finally {
        for (const socket of silent) socket.destroy();
      }
    },
  },
];

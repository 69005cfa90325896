import { readFileSync } from "node:fs";
import type { z } from "zod";
import { strictYaml } from "../policy/yaml.ts";
import { Complaint } from "./terminal.ts";

/** A YAML file of an operator's, as strict as a policy. Throws a Complaint (exit 3) that names the line and the field. */
export function readStrict<T>(file: string, schema: z.ZodType<T>, cannot: string, hint: string): T {
  const yaml = strictYaml(readFileSync(file, "utf8"));
  const refuse = ({ line, column }: { readonly line: number; readonly column: number }, words: string, why: string) =>
    new Complaint(3, cannot, `line ${line}, column ${column}: ${words}`, why);
  const [fault] = yaml.faults;
  if (fault !== undefined) throw refuse(yaml.positionOf(fault.offset), fault.message, fault.hint);
  const read = schema.safeParse(yaml.value);
  if (read.success) return read.data;
  // A field by another name is the cause of one that is missing.
  const issue = read.error.issues.find(({ code }) => code === "unrecognized_keys") ?? read.error.issues[0];
  const path = issue?.path ?? [];
  throw refuse(yaml.place(path), `${path.map(String).join(".") || "the file"}: ${issue?.message}`, hint);
}
